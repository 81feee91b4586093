export interface TimeLimit extends Disposable {
  /** Aborts when the time is over, or when the given signal does. */
  readonly signal: AbortSignal;
}

/**
 * A time limit that is given back when it is no longer needed. `AbortSignal.timeout` keeps its timer, and with it
 * whatever listens to it, until the time is over: for a wait of a minute that ended at once, a minute.
 */
export function startTimeLimit(ms: number, outer?: AbortSignal): TimeLimit {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  outer?.addEventListener("abort", abort, { once: true });
  if (outer?.aborted) abort();
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", abort);
    },
  };
}
