/**
 * Who waits for a run, in this process: a run for which nobody waits any more is cancelled.
 *
 * A run is *attended* while somebody has a seat. When the last one leaves without having seen its end it is *abandoned*
 * for as long as the one who left gave it, and cancelled then; whoever attends it again before that keeps it. It leaves
 * the table when it is cancelled, or when somebody saw its end.
 *
 * A run that is abandoned while the process ends is not cancelled: it ends by its own time limit. Somebody who attends
 * it in another process is not known here.
 */

export interface Attendance {
  attend(runId: string, cancel: (reason: string) => void): Seat;
}

/** Each is left once; what comes after has no effect. */
export interface Seat {
  /** The run has ended, so there is nothing left to cancel; or it is to go on, whoever waits. */
  done(): void;
  /** Cancels the run after `graceMs`, unless somebody waits for it then. */
  leave(reason: string, graceMs: number): void;
}

interface Attended {
  seats: number;
  isOver: boolean;
  timer?: NodeJS.Timeout;
}

export function createAttendance(): Attendance {
  const table = new Map<string, Attended>();

  return {
    attend(runId, cancel) {
      const run = table.get(runId) ?? { seats: 0, isOver: false };
      table.set(runId, run);
      clearTimeout(run.timer);
      run.seats += 1;
      let isLeft = false;

      /** Whether it was the last one. */
      function giveUp(): boolean {
        if (isLeft) return false;
        isLeft = true;
        run.seats -= 1;
        if (run.seats === 0 && run.isOver) table.delete(runId);
        return run.seats === 0 && !run.isOver;
      }

      function abandon(reason: string): void {
        table.delete(runId);
        cancel(reason);
      }

      return {
        done() {
          run.isOver = true;
          giveUp();
        },
        leave(reason, graceMs) {
          if (!giveUp()) return;
          if (graceMs === 0) return abandon(reason);
          run.timer = setTimeout(() => abandon(reason), graceMs).unref();
        },
      };
    },
  };
}

/** For a run that is to go on whoever waits for it. */
export const freeSeat: Seat = { done: () => undefined, leave: () => undefined };
