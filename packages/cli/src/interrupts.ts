/**
 * Ctrl-C as people expect it: the first asks the command to stop in order, the second leaves at once. SIGTERM counts
 * as Ctrl-C.
 */
import { exitCode } from "./exit-codes.ts";

export interface Interrupts extends Disposable {
  /** Aborted by the first interrupt. */
  readonly signal: AbortSignal;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * One Ctrl-C can arrive twice: the terminal sends it to the whole process group, and npm and npx pass it on to their
 * child as well. What follows this soon is taken for the same key press.
 */
const sameKeyPressMs = 300;

/** Listens until disposed. `leave` is what the second interrupt does. */
export function listenForInterrupts(leave: () => void = () => process.exit(exitCode.cancelled)): Interrupts {
  const controller = new AbortController();
  let firstAtMs = 0;
  const listener = () => {
    if (!controller.signal.aborted) {
      firstAtMs = performance.now();
      controller.abort();
    } else if (performance.now() - firstAtMs > sameKeyPressMs) leave();
  };
  for (const signal of signals) process.on(signal, listener);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, listener);
    },
  };
}

/** Calls `listener` once the signal is aborted, at once if it is. */
export function onceAborted(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
}
