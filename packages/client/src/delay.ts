/** Waits for `ms`, or until the signal aborts, whichever is first. Leaves neither a timer nor a listener. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

const firstDelayMs = 250;
const longestDelayMs = 4_000;

/**
 * How long to wait after so many failures in a row: doubles from 250 ms up to 4 s. A random half of it is left away,
 * so that the clients of a daemon that restarts do not all return in the same instant.
 */
export function backoffMs(failures: number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** failures) * (0.5 + Math.random() / 2);
}
