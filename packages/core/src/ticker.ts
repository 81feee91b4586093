import { setTimeout } from "node:timers/promises";

export interface Ticker {
  /** Waits for the action under way. Safe to repeat. */
  stop(): Promise<void>;
}

export interface TickerOptions {
  /** From the end of one action to the start of the next. */
  readonly intervalMs: number;
  readonly action: (signal: AbortSignal) => Promise<void>;
  /** The action failed; it will be tried again at its time. */
  readonly onError: (error: unknown) => void;
}

/** Does something again and again, never twice at once, until it is stopped. Does not keep the process alive. */
export function startTicker({ intervalMs, action, onError }: TickerOptions): Ticker {
  const stopping = new AbortController();
  const { signal } = stopping;
  const done = tick();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };

  async function tick(): Promise<void> {
    for (;;) {
      // Stopped: there is nothing more to wait for.
      await setTimeout(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      await action(signal).catch((error: unknown) => {
        if (!signal.aborted) onError(error);
      });
    }
  }
}
