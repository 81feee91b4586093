/** Forgets final runs, and sessions without runs, when they are older than the history is kept. */
import type { Redis } from "ioredis";
import type { Logger } from "./logger.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { RunIndex } from "./run-index.ts";
import type { RunStore } from "./run-store.ts";
import { startTicker, type Ticker } from "./ticker.ts";

export interface JanitorOptions {
  readonly redis: Redis;
  readonly keys: TenantKeys;
  readonly runs: RunStore;
  readonly index: RunIndex;
  readonly maxAgeMs: number;
  readonly logger: Logger;
  /** Default 60,000. */
  readonly intervalMs?: number | undefined;
}

const batchSize = 100;

/** Any number of processes may do so at once. */
export function startJanitor({ intervalMs = 60_000, ...options }: JanitorOptions): Ticker {
  const { redis, keys, runs, index, maxAgeMs, logger } = options;
  return startTicker({
    intervalMs,
    action: forgetOld,
    onError: (error) => logger.warn({ err: error }, "Old runs could not be removed; trying again later."),
  });

  async function forgetOld(signal: AbortSignal): Promise<void> {
    const before = Date.now() - maxAgeMs;
    let forgotten = 0;
    while (!signal.aborted) {
      const old = await redis.zrange(keys.endedRuns, "-inf", String(before), "BYSCORE", "LIMIT", 0, batchSize);
      const refs = await index.pick(old, ["run_id", "session_id"]);
      const done = (await Promise.all(refs.map((ref) => runs.forget(ref)))).filter(Boolean);
      forgotten += done.length;
      // Those that are still in line, or have no record, are for the next time, or this would not end.
      if (done.length < batchSize) break;
    }
    if (forgotten > 0) logger.info({ runs: forgotten }, "Forgot runs that were older than the history is kept.");
  }
}
