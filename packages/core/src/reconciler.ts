/**
 * Repairs what a crash left half-way. Every process does it, every second; everything in it is safe to repeat and to race.
 *
 * | found | means | done |
 * | --- | --- | --- |
 * | a claimed run whose worker has no beat | the worker died | `lose`: back in line, or a final state, or released |
 * | a job that a worker without a beat has taken | the same, or it died before the claim | the job is removed |
 * | a job that is taken and not locked, of a run in the outbox | its worker never heard of it: the connection broke before the answer | the job is removed |
 * | a run in the outbox | nobody has claimed it yet; perhaps its job was never added, or was lost | its job is added |
 *
 * A missing beat is believed only when Redis has been answering and taking writes, and this process has been looking, for
 * longer than a beat may be late. After an outage the workers have to come back first, and where this process did not run
 * (a suspended machine, one that is overloaded) the workers may not have run either.
 */
import type { Redis } from "ioredis";
import type { Dispatcher } from "./dispatcher.ts";
import type { Logger } from "./logger.ts";
import type { TenantKeys } from "./redis/keys.ts";
import { probeWrites } from "./redis/write-probe.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import type { RunIndex } from "./run-index.ts";
import type { RunQueue } from "./run-queue.ts";
import type { RunStore } from "./run-store.ts";
import { workerTtlMs } from "./silence.ts";
import { startTicker, type Ticker } from "./ticker.ts";

export interface ReconcilerOptions {
  readonly redis: Redis;
  readonly keys: TenantKeys;
  readonly runs: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly dispatcher: Dispatcher;
  readonly logger: Logger;
}

const intervalMs = 1_000;
const trustAfterMs = workerTtlMs + 500;
/** One look follows the other after `intervalMs`; where it takes this long, this process did not run. */
const longestGapMs = workerTtlMs / 2;
/** Of the outbox, in one look; the next look goes on from there. */
const outboxBatch = 200;

export function startReconciler(options: ReconcilerOptions): Ticker {
  const { redis, keys, runs, index, queue, dispatcher, logger } = options;
  const warn = createRepeatedWarning(logger, "The state of runs could not be checked; trying again.");
  let answeringSince: number | undefined;
  /** By the clock that keys expire by, which goes on while a machine is suspended. */
  let lookedAt = Date.now();
  let outboxCursor = "0";

  const distrust = () => {
    answeringSince = undefined;
  };
  // An outage may be over before the next look, and have kept a worker from its beats all the same.
  redis.on("close", distrust);
  const ticker = startTicker({
    intervalMs,
    async action(signal) {
      if (Date.now() - lookedAt > longestGapMs) distrust();
      await reconcile(signal).finally(() => {
        lookedAt = Date.now();
      });
    },
    onError(error) {
      distrust();
      warn(error);
    },
  });
  return {
    stop() {
      redis.off("close", distrust);
      return ticker.stop();
    },
  };

  async function reconcile(signal: AbortSignal): Promise<void> {
    const looks = [redis.smembers(keys.claimed), redis.scard(keys.outbox), probeWrites(redis)] as const;
    const [claimed, waiting] = await Promise.all(looks);
    const now = performance.now();
    answeringSince ??= now;
    if (now - answeringSince > trustAfterMs) {
      await loseRuns(claimed);
      // Without a reason, this would load BullMQ into processes that never need it.
      if (queue.isOpen || claimed.length > 0 || waiting > 0) await removeJobs();
    }
    if (!signal.aborted && waiting > 0) await addJobs();
  }

  async function loseRuns(claimed: string[]): Promise<void> {
    const held = await index.pick(claimed, ["run_id", "session_id", "agent_id", "lease", "worker_id"]);
    const dead = await findDead(held.map(({ worker_id }) => worker_id));
    for (const { lease, worker_id, ...ref } of held) {
      if (worker_id === undefined || !dead.has(worker_id)) continue;
      const lost = await runs.lose(ref, { lease, worker_id });
      if (!lost) continue;
      const { run_id, session_id } = ref;
      logger.warn({ run_id, session_id, worker_id, status: lost.outcome }, "The worker of a run is dead.");
      dispatcher.dispatch(lost.next);
    }
  }

  async function removeJobs(): Promise<void> {
    const taken = await queue.listTaken();
    if (taken.length === 0) return;
    const [dead, isUnclaimed] = await Promise.all([
      findDead(taken.map(({ worker_id }) => worker_id)),
      redis.smismember(
        keys.outbox,
        taken.map(({ run_id }) => run_id),
      ),
    ]);
    for (const [i, { run_id, worker_id }] of taken.entries()) {
      // A worker that is about to claim it holds its lock, and then it stays.
      if (isUnclaimed[i] === 1 || (worker_id !== undefined && dead.has(worker_id))) await queue.remove(run_id);
    }
  }

  async function addJobs(): Promise<void> {
    const [cursor, runIds] = await redis.sscan(keys.outbox, outboxCursor, "COUNT", outboxBatch);
    outboxCursor = cursor;
    await dispatcher.dispatchAll(runIds);
  }

  async function findDead(workerIds: readonly (string | undefined)[]): Promise<Set<string>> {
    const ids = [...new Set(workerIds.filter((id) => id !== undefined))];
    if (ids.length === 0) return new Set();
    const beats = await redis.mget(ids.map((id) => keys.worker(id)));
    return new Set(ids.filter((_, i) => beats[i] == null));
  }
}
