/**
 * One run on one worker: from the claim to the release.
 *
 * It is *running* until its outcome is known and stored (`finish`), then *ending* until nothing of the agent is left, and
 * gone with `release` (one step with `finish` where nothing is left by then). While it runs it can be aborted, and is then stored only when nothing of the agent is left: a run
 * that says `cancelled` does nothing any more. The reason decides how it ends:
 *
 * | reason | ends as |
 * | --- | --- |
 * | RUN_CANCELLED | cancelled |
 * | RUN_TIMED_OUT | timed_out |
 * | SHUTTING_DOWN | queued again if the agent has not seen the prompt, else cancelled |
 * | WORKER_LOST | nothing is written: another worker has it, or the reconciler has ended it |
 * | anything else | failed |
 *
 * What has to be written is tried again for as long as Redis is away, until the worker itself is closed or the embedded
 * Redis is gone for good.
 */
import type { JsonObject } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { EventLog } from "./event-log.ts";
import { newEvent } from "./event-log.ts";
import type { Logger } from "./logger.ts";
import { channels, type TenantKeys } from "./redis/keys.ts";
import { retryWhileAway } from "./retry.ts";
import { RunCancelled } from "./run-cancelled.ts";
import { completed, noRunner, notCompleted, notStored, stopped, timedOut } from "./run-endings.ts";
import type { RunJob } from "./run-queue.ts";
import type { RunRecord, RunRef } from "./run-record.ts";
import type { Claimed, Ending, RunStore } from "./run-store.ts";
import type { Runner, RunningTurn, Turn, TurnContext, TurnEvent } from "./runners/runner.ts";
import { createTurnEvents } from "./turn-events.ts";
import type { TurnLog } from "./turn-log.ts";
import type { WorkingFolders } from "./working-folder.ts";

export interface ExecutionOptions {
  readonly worker_id: string;
  readonly runs: RunStore;
  readonly log: EventLog;
  readonly keys: TenantKeys;
  readonly runners: readonly Runner[];
  /** What agents may use; a run can only narrow it. */
  readonly tools: readonly string[];
  readonly folders: WorkingFolders;
  readonly turnLog: TurnLog;
  readonly logger: Logger;
  /** Called with the run whose turn it is. */
  readonly onNext: (runId: string | undefined) => void;
  /** Ends even the waiting for Redis. */
  readonly closing: AbortSignal;
}

/** A run that this worker has claimed. */
export interface Execution {
  readonly ref: RunRef;
  readonly lease: number;
  /** False once the outcome is stored. */
  readonly isRunning: boolean;
  /** The first reason counts. */
  abort(reason: KsiError): void;
  /** Settles with the release; never rejects. */
  readonly done: Promise<void>;
}

/** Undefined when there is nothing to do: the run is not to be had, or cannot be started by anybody here. */
export async function startExecution(job: RunJob, options: ExecutionOptions): Promise<Execution | undefined> {
  const { runs, runners, worker_id, logger, closing } = options;
  const runner = runners.find((candidate) => candidate.serves(job.model));
  if (!runner) {
    const error = (await noRunner(job.model, runners)).toJSON();
    const rejected = await retryWhileAway(() => runs.reject(job, error), closing);
    if (rejected) logger.warn(logFields(job, { status: "failed", model: job.model }), "No runner serves this model.");
    options.onNext(rejected?.next);
    return undefined;
  }
  const claim = { lease: job.lease, worker_id, runner: runner.name };
  const claimed = await retryWhileAway(() => runs.claim(job, claim), closing);
  if (!claimed) {
    logger.debug(logFields(job), "The run is no longer to be had.");
    return undefined;
  }
  logger.info(logFields(job, { status: "running", runner: runner.name, attempt: job.lease }), "Run started.");
  return execute(claimed, runner, options);
}

function execute(claimed: Claimed, runner: Runner, options: ExecutionOptions): Execution {
  const { record } = claimed;
  const abort = new AbortController();
  const state = { isRunning: true };
  const onFinished = () => {
    state.isRunning = false;
  };
  const work = carryOut({ claimed, runner, abort, options, onFinished });
  return {
    ref: record,
    lease: record.lease,
    get isRunning() {
      return state.isRunning;
    },
    abort: (reason) => abort.abort(reason),
    done: work.catch((error: unknown) => {
      options.logger.error(logFields(record, { err: error }), "The end of a run could not be written.");
    }),
  };
}

interface CarryOut {
  readonly claimed: Claimed;
  readonly runner: Runner;
  readonly abort: AbortController;
  readonly options: ExecutionOptions;
  readonly onFinished: () => void;
}

async function carryOut({ claimed, runner, abort, options, onFinished }: CarryOut): Promise<void> {
  const { record } = claimed;
  const { runs, closing, logger, turnLog } = options;
  const startedAt = performance.now();
  const timer = setTimeout(() => abort.abort(timedOut(record)), record.timeout_ms);
  let turn: RunningTurn | undefined;
  let raw: JsonObject | undefined;
  let ending: Ending | KsiError;
  const events = createTurnEvents({
    store: (batch) => storeEvents(batch, record, options),
    onLost: (error) => abort.abort(error),
    signal: closing,
  });

  try {
    const cwd = await options.folders.resolve(record.cwd);
    abort.signal.throwIfAborted();
    turn = runner.start(toTurn(claimed, { cwd, tools: narrow(options.tools, record) }), {
      signal: abort.signal,
      emit: events.emit,
      promptHanded: notePrompt({ record, abort, options }),
    });
    const outcome = await turn.outcome;
    ending = completed(outcome, performance.now() - startedAt);
    raw = outcome.raw;
  } catch (thrown) {
    ending = KsiError.from(abort.signal.aborted ? abort.signal.reason : thrown);
    if (ending.code === "INTERNAL")
      logger.error(logFields(record, { err: ending.cause ?? ending }), "A runner failed.");
  }
  clearTimeout(timer);
  let isEnded = !turn;
  void turn?.ended.then(() => {
    isEnded = true;
  });
  if (abort.signal.aborted) await turn?.ended;
  // What the agent said last and how it ended are one write.
  let lastWords = await events.takeLast();

  const isOver = await finish(ending);
  onFinished();
  if (turn) await turn.ended;
  if (isOver === "requeue") await giveBack();
  if (isOver === "done" || isOver === "requeue") {
    options.onNext(await retryWhileAway(() => runs.release(record, record.lease), closing));
  }

  async function finish(how: Ending | KsiError): Promise<"done" | "released" | "lost" | "requeue"> {
    // Only as reasons of the abort: a runner that fails with one of these codes has failed like any other.
    if (how instanceof KsiError && how === abort.signal.reason) {
      if (how.code === "WORKER_LOST") return logLost();
      if (how.code === "SHUTTING_DOWN") return "requeue";
    }
    const last = how instanceof KsiError ? notCompleted(how, performance.now() - startedAt) : how;
    const stored = await store(last);
    if (stored === "lost") return logLost();
    if (stored === "refused") {
      lastWords = [];
      return await finish(notStored());
    }
    const { error, duration_ms } = last.fields;
    if (raw) turnLog.agent(record, runner.name, raw);
    else if (error) turnLog.error(record, error);
    const status = last.event_type.slice("run.".length);
    logger.info(logFields(record, { status, duration_ms, ...(error && { code: error.code }) }), "Run ended.");
    return stored;
  }

  /** `refused` is a result with which something is wrong, other than that Redis is away: the run must end all the same. */
  async function store(last: Ending): Promise<"done" | "released" | "lost" | "refused"> {
    const finishing = { events: lastWords.map((event) => toEvent(event, record)), isEnded };
    try {
      const stored = await retryWhileAway(() => runs.finish(record, record.lease, last, finishing), closing);
      if (!finishing.isEnded || stored.outcome === "lost") return stored.outcome;
      options.onNext(stored.next);
      return "released";
    } catch (thrown) {
      if (last.event_type !== "run.completed" || closing.aborted) throw thrown;
      logger.error(logFields(record, { err: thrown }), "The result of a run could not be stored.");
      return "refused";
    }
  }

  /** Only now, since another worker starts as soon as it is back in line. */
  async function giveBack(): Promise<void> {
    const reason = "The worker was stopped before the agent had the prompt.";
    const outcome = await retryWhileAway(() => runs.giveBack(record, record.lease, reason), closing);
    if (outcome === "requeued") logger.info(logFields(record, { status: "queued" }), "Run went back in line.");
    else if (outcome === "kept") await finish(stopped());
    else logLost();
  }

  function logLost(): "lost" {
    logger.warn(logFields(record), "This run is no longer this worker's; its agent was ended and nothing was written.");
    return "lost";
  }
}

async function storeEvents(batch: readonly TurnEvent[], record: RunRecord, options: ExecutionOptions): Promise<void> {
  const { run_id, lease } = record;
  const guard = { runKey: options.keys.run(run_id), lease };
  const appends = batch.map((event) => ({ event: toEvent(event, record), channels: [channels.run(run_id)], guard }));
  await options.log.append(...appends);
}

function toEvent(event: TurnEvent, { run_id, session_id, agent_id }: RunRecord): object {
  return newEvent({ source: agent_id ?? "ksi", run_id, session_id, ...(agent_id && { agent_id }), ...event });
}

function notePrompt({
  record,
  abort,
  options,
}: Pick<CarryOut, "abort" | "options"> & { record: RunRecord }): TurnContext["promptHanded"] {
  const { runs, closing, turnLog } = options;
  const signal = AbortSignal.any([closing, abort.signal]);
  return async (memory) => {
    // Once it is marked, a stop can no longer give the run to another worker.
    abort.signal.throwIfAborted();
    const noted = await retryWhileAway(() => runs.promptHanded(record, record.lease, memory), signal);
    if (noted instanceof RunCancelled) abort.abort(noted);
    if (noted === "lost") abort.abort(new KsiError("WORKER_LOST", "This run is no longer this worker's."));
    abort.signal.throwIfAborted();
    turnLog.human(record, record.prompt);
  };
}

function toTurn({ record, memory }: Claimed, granted: Pick<Turn, "cwd" | "tools">): Turn {
  const { run_id, session_id, prompt, images, model, system_prompt, output_schema, metadata } = record;
  return { run_id, session_id, prompt, images, model, system_prompt, output_schema, metadata, memory, ...granted };
}

function narrow(configured: readonly string[], { enable_tools, tools }: RunRecord): readonly string[] {
  if (!enable_tools) return [];
  return tools ? configured.filter((tool) => tools.includes(tool)) : configured;
}

function logFields({ run_id, session_id }: RunRef, more: object = {}): object {
  return { run_id, session_id, ...more };
}
