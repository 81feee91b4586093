import { setTimeout } from "node:timers/promises";
import { KsiError } from "@ksi/contract/errors";

const firstPauseMs = 50;
const longestPauseMs = 1_000;

/**
 * Does something again, with a growing pause, for as long as Redis is away. Only for what is safe to repeat: a call that
 * failed may have been carried out. Any other error, and an abort of `signal`, ends it.
 */
export async function retryWhileAway<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await action();
    } catch (thrown) {
      if (!(thrown instanceof KsiError && thrown.code === "STORE_UNAVAILABLE") || signal.aborted) throw thrown;
    }
    await setTimeout(Math.min(firstPauseMs * 2 ** Math.min(attempt, 10), longestPauseMs), undefined, { signal });
  }
}
