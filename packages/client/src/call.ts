/** How every call is made: with a deadline, an end by signal, and repeats where a repeat cannot do harm. */
import { KsiError } from "@ksi/contract/errors";
import { backoffMs, delay } from "./delay.ts";
import { isTransient, toKsiError } from "./to-ksi-error.ts";

export interface CallOptions {
  /** Gives up waiting; the call rejects with `CANCELLED`. */
  signal?: AbortSignal | undefined;
}

export interface CallPolicy {
  /** Any of them ends the call. */
  signals: readonly AbortSignal[];
  /** How often it is made again after a failure that passes by itself; 0 where a repeat could do something twice. */
  retries: number;
  /** How long one attempt may take. Default 75 s: longer than the server holds any request that does not say so (55 s). */
  attemptTimeoutMs?: number | undefined;
}

const defaultAttemptTimeoutMs = 75_000;

export async function call<T>(attempt: (signal: AbortSignal) => Promise<T>, policy: CallPolicy): Promise<T> {
  const { attemptTimeoutMs = defaultAttemptTimeoutMs } = policy;
  const { signal, unlink } = joinSignals(policy.signals);
  try {
    for (let failures = 0; ; failures++) {
      try {
        return await withDeadline(attempt, signal, attemptTimeoutMs);
      } catch (thrown) {
        const error = toKsiError(thrown);
        if (signal.aborted || failures >= policy.retries || !isTransient(error)) throw error;
      }
      await delay(backoffMs(failures), signal);
    }
  } finally {
    unlink();
  }
}

/** Like `AbortSignal.any`, but leaves nothing behind on a signal that lives as long as the client. */
export function joinSignals(signals: readonly AbortSignal[]): { signal: AbortSignal; unlink: () => void } {
  const controller = new AbortController();
  const onAbort = (event: Event) => controller.abort((event.target as AbortSignal).reason);
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  }
  const unlink = () => {
    for (const signal of signals) signal.removeEventListener("abort", onAbort);
  };
  return { signal: controller.signal, unlink };
}

/** Settles with the attempt, the abort or the deadline. tRPC alone would keep a call of a batch until its neighbours end. */
function withDeadline<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<T> {
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const stop = (error: KsiError) => {
      controller.abort(error);
      reject(error);
    };
    const onAbort = () => stop(cancelled(signal.reason));
    if (signal.aborted) return onAbort();
    const timer = setTimeout(
      () => stop(new KsiError("TIMEOUT", `The daemon gave no answer within ${timeoutMs / 1000} s.`)),
      timeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    attempt(controller.signal)
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      });
  });
}

function cancelled(reason: unknown): KsiError {
  const error = KsiError.from(reason);
  return error.code === "INTERNAL" ? new KsiError("CANCELLED", "The call was cancelled.", { cause: reason }) : error;
}
