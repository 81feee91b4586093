/** From the outbox to the queue: makes a job of each run whose turn has come. */
import type { Logger } from "./logger.ts";
import type { RunIndex } from "./run-index.ts";
import type { RunJob, RunQueue } from "./run-queue.ts";

export interface Dispatcher {
  /**
   * At once, and without waiting for it: whoever made a run ready has already said so durably, and the reconciler adds
   * what is not added here. Ids that are undefined are passed over.
   */
  dispatch(...runIds: (string | undefined)[]): void;
  /** The same, for one of which everything is known. */
  dispatchJob(job: RunJob): void;
  /** The same, awaited; rejects when Redis is away. */
  dispatchAll(runIds: readonly string[]): Promise<void>;
  /** Waits for what was dispatched. */
  settle(): Promise<void>;
}

const jobFields = ["run_id", "session_id", "agent_id", "model", "priority", "lease", "status"] as const;

export function createDispatcher(index: RunIndex, queue: RunQueue, logger: Logger): Dispatcher {
  const underWay = new Set<Promise<void>>();
  return {
    dispatch(...runIds) {
      const ids = runIds.filter((id) => id !== undefined);
      if (ids.length > 0) track(dispatchAll(ids), ids);
    },
    dispatchJob: (job) => track(queue.add([job]), [job.run_id]),
    dispatchAll,
    settle: async () => void (await Promise.all(underWay)),
  };

  function track(adding: Promise<void>, run_ids: string[]): void {
    const work = adding.catch((error: unknown) => {
      logger.warn({ err: error, run_ids }, "Runs could not be queued; the next look at the outbox will try again.");
    });
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  }

  async function dispatchAll(runIds: readonly string[]): Promise<void> {
    const runs = await index.pick(runIds, jobFields);
    await queue.add(
      runs.filter(({ status }) => status === "queued").map(({ status, ...run }) => ({ ...run, lease: run.lease + 1 })),
    );
  }
}
