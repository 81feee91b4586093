/**
 * The events of a run in batches: what is there at once is taken at once, so that it can share a write.
 *
 * A pump carries them from the follow into a queue of at most `maxWaiting` events, and rests while it is full: a client
 * that reads slowly slows the follow down, not the agent. The reader is *open* until the final event has arrived, or it
 * has failed; what had arrived before is still given, then every take rejects with the same error.
 */
import { setImmediate } from "node:timers/promises";
import { isFinalRunEvent, KsiError, type RunEvent, type RunsPort } from "@ksi/contract";

export interface RunReader {
  /**
   * What has arrived since the last take, or arrives first within `withinMs` (`Infinity`: however long it takes). Empty
   * when nothing did. One take at a time.
   */
  take(withinMs: number): Promise<readonly RunEvent[]>;
  /** Stops reading. Safe to repeat; the first error counts. */
  close(error: KsiError): void;
}

const maxWaiting = 64;

/** From the run's first event on. Rejects as `runs.events` does. */
export async function openRunReader(runs: RunsPort, runId: string): Promise<RunReader> {
  const stop = new AbortController();
  const follow = await runs.events(runId, { from: "oldest" }, stop.signal);
  let waiting: RunEvent[] = [];
  let failure: KsiError | undefined;
  let isRead = false;
  let onArrival = () => {};
  let onRoom = () => {};

  void pump();

  async function pump(): Promise<void> {
    try {
      for await (const { event } of follow) {
        waiting.push(event);
        isRead = isFinalRunEvent(event);
        onArrival();
        if (isRead) return;
        if (waiting.length >= maxWaiting) await room();
      }
      close(cutShort());
    } catch (thrown) {
      close(KsiError.from(thrown));
    }
  }

  function close(error: KsiError): void {
    failure ??= error;
    stop.abort();
    onArrival();
    onRoom();
  }

  async function room(): Promise<void> {
    await new Promise<void>((resolve) => {
      onRoom = resolve;
    });
  }

  async function arrival(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      onArrival = resolve;
      if (withinMs !== Number.POSITIVE_INFINITY) timer = setTimeout(resolve, withinMs);
    });
    clearTimeout(timer);
  }

  return {
    async take(withinMs) {
      if (waiting.length === 0 && !failure) await arrival(withinMs);
      // The follow gives what it has one by one; without this step each would be a batch of its own.
      if (waiting.length > 0 && !isRead) await setImmediate();
      if (waiting.length === 0 && failure) throw failure;
      const batch = waiting;
      waiting = [];
      onRoom();
      return batch;
    },
    close,
  };
}

function cutShort(): KsiError {
  return new KsiError("SHUTTING_DOWN", "The daemon stopped following the run before its end. The run may still go on.");
}
