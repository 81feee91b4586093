/** What callers do with runs. */
import { randomUUID } from "node:crypto";
import {
  type Entry,
  isFinal,
  isFinalRunEvent,
  type ProfilesPort,
  type Run,
  type RunEvent,
  type RunsPort,
} from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { Dispatcher } from "./dispatcher.ts";
import type { EventLog } from "./event-log.ts";
import { createEndedFollow } from "./event-log-follow.ts";
import { historyTrimmed } from "./event-log-reader.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Logger } from "./logger.ts";
import { applyProfile } from "./profiles-apply.ts";
import { channels } from "./redis/keys.ts";
import { noRunner } from "./run-endings.ts";
import type { RunIndex } from "./run-index.ts";
import type { RunQueue } from "./run-queue.ts";
import type { RunStore } from "./run-store.ts";
import { listReadyModels } from "./runners/probe.ts";
import type { Runner } from "./runners/runner.ts";
import { startTimeLimit } from "./time-limit.ts";
import { createWorkingFolders } from "./working-folder.ts";

export interface RunsOptions {
  readonly runs: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly dispatcher: Dispatcher;
  readonly log: EventLog;
  readonly profiles: ProfilesPort;
  readonly runners: readonly Runner[];
  readonly defaultModel: string;
  readonly roots: readonly string[];
  readonly runTimeoutMs: number;
  readonly logger: Logger;
  readonly isDraining: () => boolean;
}

export function createRuns(options: RunsOptions): RunsPort {
  const { runs, index, queue, dispatcher, log, runners, logger } = options;
  const folders = createWorkingFolders(options.roots);
  /** Until then Redis may not know the script: it is then sent once more, and what was sent after it came before. */
  let hasSpawned = false;

  return {
    async spawn(input) {
      if (options.isDraining()) {
        throw new KsiError("SHUTTING_DOWN", "The daemon is stopping and takes no new runs. Try again when it is back.");
      }
      const { input: asked, blame } = await applyProfile(input, options.profiles);
      const model = asked.model ?? options.defaultModel;
      const runner = runners.find((candidate) => candidate.serves(model));
      if (!runner) throw blame("model", await noRunner(model, runners));
      if (asked.images?.length && !runner.takesImages) throw await noImages(model, runners);
      const { session_id = randomUUID(), timeout_ms = options.runTimeoutMs, cwd, idempotency_key, ...rest } = asked;
      const run = {
        ...withoutUndefined(rest),
        run_id: randomUUID(),
        session_id,
        model,
        timeout_ms,
        cwd: await folders.resolve(cwd).catch((thrown: unknown) => {
          throw blame("cwd", thrown);
        }),
        ...(idempotency_key !== undefined && { idempotency_key }),
      };
      const { idempotency_key: _, ...body } = input;
      const idempotency = idempotency_key === undefined ? undefined : { key: idempotency_key, hash: fingerprint(body) };

      const spawning = runs.spawn(run, idempotency);
      const { run_id, agent_id, priority } = run;
      const job = { run_id, session_id, ...(agent_id && { agent_id }), model, priority, lease: 1 };
      // Nobody else knows this session yet, so its turn has come. The job follows the acceptance on the same connection;
      // should that fail, or answer an earlier run, the job finds no run.
      const isFirst = hasSpawned && input.session_id === undefined;
      if (isFirst) dispatcher.dispatchJob(job);
      const spawned = await spawning;
      hasSpawned = true;
      if (spawned.isRepeat) {
        const message = "This idempotency_key was used before: this is the run that it started then.";
        return { status: "accepted", run_id: spawned.run_id, session_id: spawned.session_id, message };
      }
      logger.info({ run_id, session_id, status: "queued", model }, "Run accepted.");
      if (!spawned.isReady) {
        return {
          status: "accepted",
          run_id,
          session_id,
          message: "Accepted; it waits for its session's earlier runs.",
        };
      }
      if (!isFirst) dispatcher.dispatchJob(job);
      return { status: "accepted", run_id, session_id, message: "Accepted." };
    },

    get,

    list: (input) => index.list(input),

    async result({ run_id, wait_ms }, signal) {
      const first = await get(run_id);
      if (isFinal(first.status) || wait_ms === 0) return first;
      using limit = startTimeLimit(wait_ms, signal);
      const run = await waitForEnd(run_id, limit.signal);
      // Whatever the reason is called: servers abort with a text of their own.
      if (signal?.aborted) throw new KsiError("CANCELLED", "The call was cancelled.", { cause: signal.reason });
      return run;
    },

    async cancel({ run_id, ...cancel }) {
      const [ref] = await index.pick([run_id], ["run_id", "session_id", "agent_id"]);
      if (!ref) throw unknownRun(run_id);
      const { outcome: status, next } = await runs.cancel(ref, cancel);
      if (!status) throw unknownRun(run_id);
      dispatcher.dispatch(next);
      if (status === "queued") {
        logger.info({ run_id, session_id: ref.session_id, status: "cancelled" }, "Run cancelled while it waited.");
        // Its claim would be refused anyway, so nobody waits for this, or for a Redis that went away meanwhile.
        if (queue.isOpen) {
          queue
            .remove(run_id)
            .catch((error: unknown) => logger.debug({ err: error, run_id }, "A job was left behind."));
        }
      }
      return { run_id, status, cancelled: !isFinal(status) };
    },

    async events(run_id, { lastEventId, from = "oldest" }, signal) {
      const channel = channels.run(run_id);
      const follow = await log.follow<RunEvent>(channel, { after: lastEventId, from, signal, isLast: isFinalRunEvent });
      // A run's first event comes with the run, so this answers for most callers that there is one.
      if (lastEventId == null && from === "oldest" && !(await log.isEmpty(channel))) return follow;
      const { status } = await get(run_id);
      if (lastEventId != null || !isFinal(status)) return follow;
      if (from === "now") return createEndedFollow<RunEvent>(channel);
      if (await log.isEmpty(channel)) throw historyTrimmed(channel, "trimmed", undefined);
      return follow;
    },
  };

  /** The run when it is final or the signal aborts. */
  async function waitForEnd(runId: string, signal: AbortSignal): Promise<Run> {
    const accept = ({ event }: Entry<RunEvent>) => isFinalRunEvent(event);
    const options = { from: "now", accept, isLast: isFinalRunEvent, signal } as const;
    for (;;) {
      const ending = await log.follow<RunEvent>(channels.run(runId), options);
      // The starting point is fixed: what ended before it shows here, what ends after it will be delivered.
      const run = await get(runId);
      if (isFinal(run.status) || signal.aborted) return run;
      try {
        for await (const _ of ending) break;
        return await get(runId);
      } catch (thrown) {
        // Its events may have a gap, such as after a failover of Redis. The record is what is asked for here.
        if (KsiError.from(thrown).code !== "HISTORY_TRIMMED") throw thrown;
      }
    }
  }

  async function get(runId: string) {
    const run = await index.get(runId);
    if (!run) throw unknownRun(runId);
    return run;
  }
}

function unknownRun(runId: string): KsiError {
  return new KsiError("NOT_FOUND", `There is no run ${runId}. It may have been deleted, or be older than the history.`);
}

async function noImages(model: string, runners: readonly Runner[]): Promise<KsiError> {
  const others = await listReadyModels(runners.filter(({ takesImages }) => takesImages));
  const advice = others ? `Choose one that does: ${others}.` : "No model that is ready here does.";
  const message = `the model ${model} takes no images. ${advice}`;
  const details = { issues: [{ path: "images", message }] };
  return new KsiError("INVALID_INPUT", `images: ${message}`, { details });
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
