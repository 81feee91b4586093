/**
 * The queue of runs whose turn has come, on BullMQ: who is served first, and by how many at once.
 *
 * It decides nothing about a run. A job says only "look at this run" (its id is the run's, so adding one twice adds one),
 * and the run store knows whether there is something to do. So a job that is lost is added again from the outbox, and
 * a job too many is refused by `claim`.
 *
 * BullMQ's own search for stalled jobs is off: it works only inside a worker with a free slot, and would run a job again
 * by default. The reconciler looks for dead workers instead, from every process.
 */
import type { Job, Queue } from "bullmq";
import type { Logger } from "./logger.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import type { RunRecord } from "./run-record.ts";

/** What a worker knows of a run before it claims it. */
export type RunJob = Pick<RunRecord, "run_id" | "session_id" | "agent_id" | "model" | "priority"> & {
  /** The lease that a claim makes. An older job can no longer claim. */
  lease: number;
};

export interface RunQueue {
  /** False until the first job: until then BullMQ is not loaded. */
  readonly isOpen: boolean;
  /** Safe to repeat. */
  add(jobs: readonly RunJob[]): Promise<void>;
  /** A job that is waiting, or whose lock has run out. One that a worker has is left alone. */
  remove(runId: string): Promise<void>;
  /** Jobs that workers have taken and not given back. */
  listTaken(): Promise<{ run_id: string; worker_id: string | undefined }[]>;
  /** Loads BullMQ and takes jobs, `concurrency` at once. The promise of `work` is awaited, and never rejects. */
  consume(options: ConsumeOptions): Promise<RunConsumer>;
  close(): Promise<void>;
}

export interface ConsumeOptions {
  readonly worker_id: string;
  readonly concurrency: number;
  work(job: RunJob): Promise<void>;
}

export interface RunConsumer {
  /** Takes nothing new. Jobs that are being worked on go on. */
  pause(): Promise<void>;
  /** Waits for the jobs that are being worked on, but not for a Redis that is away. */
  close(): Promise<void>;
}

/** For how long a job is its worker's without a sign of life. */
const lockMs = 5_000;
/** How soon a worker looks again after Redis was away or refused (BullMQ: 15 s, and at once). */
const retryMs = 1_000;
/** Enough for an eye on the queue; nobody follows BullMQ's own events. */
const maxQueueEvents = 100;

export function createRunQueue(store: Store, keys: TenantKeys, logger: Logger): RunQueue {
  const { prefix, name } = keys.queue;
  const warn = createRepeatedWarning(logger, "The queue had an error.");
  let opening: Promise<Queue<RunJob>> | undefined;
  let isClosed = false;

  const open = () => {
    opening ??= openQueue().catch((thrown: unknown) => {
      opening = undefined;
      throw thrown;
    });
    return opening;
  };

  return {
    get isOpen() {
      return opening !== undefined;
    },
    async add(jobs) {
      if (jobs.length === 0) return;
      const queue = await open();
      const [first] = jobs;
      // One command less than a bulk of one.
      if (first && jobs.length === 1) await queue.add("run", first, optionsOf(first));
      else await queue.addBulk(jobs.map((job) => ({ name: "run", data: job, opts: optionsOf(job) })));
    },
    async remove(runId) {
      await (await open()).remove(runId);
    },
    async listTaken() {
      const jobs = await (await open()).getActive();
      return jobs.filter(Boolean).map((job) => ({ run_id: job.data.run_id, worker_id: job.processedBy }));
    },
    async consume(options) {
      const { PatientWorker } = await import("./run-queue-worker.ts");
      const worker = new PatientWorker<RunJob>(name, (job: Job<RunJob>) => options.work(job.data), {
        connection: store.connect("worker", "queue"),
        prefix,
        name: options.worker_id,
        concurrency: options.concurrency,
        lockDuration: lockMs,
        skipStalledCheck: true,
        maxStalledCount: 0,
        runRetryDelay: retryMs,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      });
      worker.on("error", (error) => warn(error, { worker_id: options.worker_id }));
      return { pause: () => worker.pause(true), close: () => worker.close() };
    },
    async close() {
      isClosed = true;
      await opening
        ?.then((queue) => queue.close())
        .catch((error) => logger.debug({ err: error }, "The queue was closed."));
    },
  };

  /** On the first job: BullMQ takes longer to load than everything else of a start together. */
  async function openQueue(): Promise<Queue<RunJob>> {
    const { Queue } = await import("bullmq");
    const queue = new Queue<RunJob>(name, {
      // The one that runs are accepted on: what is sent after an acceptance is carried out after it. And only a worker
      // has to wait for a Redis that is away; whoever adds must be able to end.
      connection: store.commands,
      prefix,
      streams: { events: { maxLen: maxQueueEvents } },
    });
    queue.on("error", (error) => {
      if (!isClosed) warn(error);
    });
    return queue;
  }
}

function optionsOf({ run_id, priority }: RunJob) {
  return {
    jobId: run_id,
    // BullMQ serves jobs without a priority (0) before all others.
    priority: priority + 1,
    removeOnComplete: true,
    removeOnFail: true,
  };
}
