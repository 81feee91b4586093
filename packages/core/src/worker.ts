/**
 * Executes runs: takes them from the queue as their turn comes, `concurrency` at once, each with a runner.
 *
 * It is *working*, then *draining* (takes nothing new; what runs may go on until a deadline, and is aborted then), then
 * *closed*. To the others it is alive as long as its beat is (worker-beat.ts).
 */
import { randomUUID } from "node:crypto";
import { KsiError } from "@ksi/contract/errors";
import { type Closers, createClosers } from "./closers.ts";
import { startEventLogs } from "./event-log.ts";
import type { Logger } from "./logger.ts";
import type { Store } from "./redis/store.ts";
import { type Execution, type ExecutionOptions, startExecution } from "./run-execution.ts";
import type { RunJob } from "./run-queue.ts";
import { type History, startRunServices } from "./run-services.ts";
import type { Runner } from "./runners/runner.ts";
import { createTurnLog } from "./turn-log.ts";
import { settlesWithin } from "./within.ts";
import { startBeat } from "./worker-beat.ts";
import { createWorkingFolders } from "./working-folder.ts";

export interface WorkerOptions {
  readonly store: Store;
  readonly logger: Logger;
  /** The first that serves a run's model executes it. */
  readonly runners: readonly Runner[];
  /** How many runs at once. */
  readonly concurrency: number;
  /** Tools that agents may use; runs can only narrow them. */
  readonly tools: readonly string[];
  /** Folders inside which agents may work. */
  readonly roots: readonly string[];
  /** Folder of the turn logs, made when it is needed. */
  readonly logDir: string;
  readonly history: History;
  /** Default `default`. */
  readonly tenant?: string | undefined;
}

export interface Worker extends AsyncDisposable {
  readonly id: string;
  /** How many runs it has claimed and not released. */
  readonly activeRuns: number;
  /**
   * Takes nothing new, and lets what runs go on for `deadlineMs`. What still runs then is ended: a run whose agent has
   * not seen its prompt goes back in line, any other becomes `cancelled`. Resolves when no agent is left, and 15 s after
   * the deadline in any case, be it that Redis is away. Safe to repeat, also to shorten the deadline.
   */
  drain(deadlineMs: number): Promise<void>;
  /** Drains without patience, then closes. Safe to repeat. */
  close(): Promise<void>;
}

/** What an abort may take at most: runners end a stubborn process in steps, with a wait between. */
const abortMs = 15_000;

/** Resolves when it takes runs. `STORE_UNAVAILABLE` when Redis is away. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const closers = createClosers(options.logger);
  try {
    return await start(options, closers);
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

async function start(options: WorkerOptions, closers: Closers): Promise<Worker> {
  const { store, logger, history, concurrency, tenant } = options;
  const id = `${process.pid}-${randomUUID().slice(0, 8)}`;
  /** Ids of runs that are being claimed or executed. */
  const taken = new Set<string>();
  const executions = new Map<string, Execution>();
  const working = new Set<Promise<void>>();
  const closing = new AbortController();
  let isDraining = false;
  let isAborting = false;
  let closed: Promise<void> | undefined;

  const turnLog = closers.add(createTurnLog(options.logDir, logger), (log) => log.close());
  const giveUp = AbortSignal.any([closing.signal, store.exited]);
  const logs = closers.add(
    startEventLogs({ store, maxEvents: history.maxEvents, retryMs: Number.POSITIVE_INFINITY, signal: giveUp }),
  );
  const services = closers.add(startRunServices({ store, logger, history, tenant }));
  const { keys, runs, index, queue, dispatcher } = services;
  closers.add(await startBeat({ worker_id: id, store, keys, index, executions, logger }));
  const execution: ExecutionOptions = {
    ...options,
    worker_id: id,
    folders: createWorkingFolders(options.roots),
    runs,
    log: logs.tenant(tenant),
    keys,
    turnLog,
    onNext: (runId) => dispatcher.dispatch(runId),
    closing: giveUp,
  };
  const consumer = await queue.consume({ worker_id: id, concurrency, work: (job) => track(work(job)) });
  logger.info({ worker_id: id, concurrency }, "The worker takes runs.");

  const close = () => {
    closed ??= closeAll();
    return closed;
  };
  return {
    id,
    get activeRuns() {
      return executions.size;
    },
    drain,
    close,
    [Symbol.asyncDispose]: close,
  };

  async function work(job: RunJob): Promise<void> {
    // Taken by chance while we stopped taking: its run is in the outbox, and becomes a job again. So does that of a run
    // which is here already: its job was lost while the claim was under way (Redis was away, or this process was stopped),
    // and a second claim would be answered like the first. The test "a second job" guards this.
    if (isDraining || taken.has(job.run_id)) return;
    taken.add(job.run_id);
    await execute(job);
    taken.delete(job.run_id);
  }

  async function execute(job: RunJob): Promise<void> {
    const started = await startExecution(job, execution).catch((error: unknown) => {
      logger.error({ err: error, run_id: job.run_id, session_id: job.session_id }, "A run could not be claimed.");
    });
    if (!started) return;
    executions.set(job.run_id, started);
    if (isAborting) started.abort(shuttingDown());
    await started.done;
    executions.delete(job.run_id);
  }

  async function track(work: Promise<void>): Promise<void> {
    working.add(work);
    await work;
    working.delete(work);
  }

  async function drain(deadlineMs: number): Promise<void> {
    isDraining = true;
    await consumer.pause();
    const timer = setTimeout(abortAll, deadlineMs);
    if (!(await settlesWithin(allWorked(), deadlineMs + abortMs))) {
      logger.error({ worker_id: id, runs: [...executions.keys()] }, "Runs could not be ended in time.");
      closing.abort();
    }
    clearTimeout(timer);
  }

  async function allWorked(): Promise<void> {
    while (working.size > 0) await Promise.all(working);
  }

  function abortAll(): void {
    isAborting = true;
    for (const { abort } of executions.values()) abort(shuttingDown());
  }

  async function closeAll(): Promise<void> {
    await drain(0);
    closing.abort();
    await consumer.close();
    await closers.closeAll();
  }
}

function shuttingDown(): KsiError {
  return new KsiError("SHUTTING_DOWN", "The worker is stopping.");
}
