/**
 * What a worker and the others tell each other: it renews its key, so that they know it lives, and hears of cancels and
 * of runs that are no longer its own.
 *
 * Cancels come over the control channel within milliseconds. A message that is lost (the subscription was away) is made
 * good by the next beat, which looks at each running run.
 */
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import type { Logger } from "./logger.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { RunCancelled } from "./run-cancelled.ts";
import type { Execution } from "./run-execution.ts";
import type { RunIndex } from "./run-index.ts";
import type { CancelOrder } from "./run-store.ts";
import { beatMs, workerTtlMs } from "./silence.ts";
import { startTicker } from "./ticker.ts";

export interface BeatOptions {
  readonly worker_id: string;
  readonly store: Pick<Store, "commands" | "connect">;
  readonly keys: TenantKeys;
  readonly index: RunIndex;
  readonly executions: ReadonlyMap<string, Execution>;
  readonly logger: Logger;
}

/** Resolves with the first beat. Ends with the key removed, so that what is left over is taken up at once. */
export async function startBeat(options: BeatOptions): Promise<AsyncDisposable> {
  const { worker_id, store, keys, index, executions, logger } = options;
  const beat = () => store.commands.set(keys.worker(worker_id), new Date().toISOString(), "PX", workerTtlMs);
  const warn = createRepeatedWarning(logger, "The worker could not show that it is alive.");
  await beat();
  const control = await followControl();
  const ticker = startTicker({
    intervalMs: beatMs,
    async action() {
      await beat();
      await check();
    },
    onError: (error) => warn(error, { worker_id }),
  });

  return {
    async [Symbol.asyncDispose]() {
      await ticker.stop();
      control.disconnect();
      await store.commands.del(keys.worker(worker_id)).catch((error: unknown) => {
        logger.debug({ err: error, worker_id }, "The worker's key is left to expire.");
      });
    },
  };

  async function followControl(): Promise<Redis> {
    const connection = store.connect("control", "subscriber");
    connection.on("message", (_channel: string, message: string) => {
      const order = readOrder(message);
      if (order) executions.get(order.run_id)?.abort(new RunCancelled(order));
    });
    await connection.subscribe(keys.control);
    return connection;
  }

  async function check(): Promise<void> {
    const running = [...executions.values()].filter(({ isRunning }) => isRunning);
    const ids = running.map(({ ref }) => ref.run_id);
    const found = await index.pick(ids, ["run_id", "status", "lease", ...cancelFields]);
    const records = new Map(found.map((record) => [record.run_id, record]));
    for (const execution of running) {
      const record = records.get(execution.ref.run_id);
      const isOurs = record?.status === "running" && record.lease === execution.lease;
      // It may have finished while we asked.
      if (!execution.isRunning) continue;
      if (!isOurs) execution.abort(new KsiError("WORKER_LOST", "This run is no longer this worker's."));
      else if (record.cancel_requested) {
        const { cancel_reason: reason, cancel_grace_ms: grace_ms } = record;
        execution.abort(new RunCancelled({ reason, grace_ms }));
      }
    }
  }
}

const cancelFields = ["cancel_requested", "cancel_reason", "cancel_grace_ms"] as const;

/** Others can publish to the channel too; what is not an order of ours is none. */
function readOrder(message: string): CancelOrder | undefined {
  try {
    const order = JSON.parse(message) as Partial<CancelOrder> | null;
    return order?.order === "cancel" && typeof order.run_id === "string" ? (order as CancelOrder) : undefined;
  } catch {
    return undefined;
  }
}
