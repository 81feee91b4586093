/**
 * One client waiting for one run. It ends in one of three ways, and its seat with it: the run's final event was taken;
 * the client went away; or it was given up, since the wait was too long or the run could not be followed.
 */
import { isFinalRunEvent, KsiError, type RunEvent, type RunsPort } from "@ksi/contract";
import type { Seat } from "./attendance.ts";
import { clientGone } from "./body.ts";
import { openRunReader } from "./run-reader.ts";
import type { Timing } from "./timing.ts";

export interface RunWatch {
  /** As {@link RunReader.take}. Rejects with `CANCELLED` when the client went away, `TIMEOUT` after `maxWaitMs`. */
  take(withinMs: number): Promise<readonly RunEvent[]>;
  /** To be called when nobody listens any more. Safe to repeat, and after the end. */
  leave(): void;
  /** Like `leave`, for a run that is to go on although nobody listens. */
  release(): void;
}

export interface WatchOptions {
  readonly runs: RunsPort;
  readonly runId: string;
  readonly seat: Seat;
  readonly timing: Timing;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  readonly maxWaitMs: number;
  /** In which a repeat of the request can attend the run again. */
  readonly graceMs: number;
}

/** Rejects as `runs.events` does, and has then left the seat. */
export async function watchRun(options: WatchOptions): Promise<RunWatch> {
  const { runs, runId, seat, timing, signal, maxWaitMs, graceMs } = options;
  const reader = await openRunReader(runs, runId).catch((thrown: unknown) => {
    seat.leave(reasons.unfollowed, graceMs);
    throw thrown;
  });
  const timer = setTimeout(() => {
    end();
    seat.leave(reasons.tooLong, 0);
    reader.close(new KsiError("TIMEOUT", `The answer took longer than ${maxWaitMs} ms. See x-ksi-run-id for the run.`));
  }, maxWaitMs).unref();
  signal.addEventListener("abort", leave);
  if (signal.aborted) leave();

  function end(): void {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }

  function leave(): void {
    end();
    seat.leave(reasons.left, graceMs);
    reader.close(clientGone());
  }

  function release(): void {
    end();
    seat.done();
    reader.close(new KsiError("CANCELLED", "The answer ended before the run."));
  }

  return {
    leave,
    release,
    async take(withinMs) {
      const events = await reader.take(withinMs).catch((thrown: unknown) => {
        end();
        seat.leave(reasons.unfollowed, graceMs);
        throw thrown;
      });
      for (const event of events) {
        if (event.event_type === "run.started") timing.started();
        if (!isFinalRunEvent(event)) continue;
        timing.ended();
        end();
        seat.done();
      }
      return events;
    },
  };
}

/** As the run's error says it. */
const reasons = {
  left: "the client went away",
  tooLong: "the client waited for as long as is allowed",
  unfollowed: "its events could not be read for the client",
};
