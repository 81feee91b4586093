/**
 * The states of runs: who may change them, and how. Each function here is one atomic script (run-scripts.ts), so two
 * processes that do the same thing at the same moment agree on who did it.
 *
 * A run is accepted into its session's line (`spawn`), claimed by a worker when its turn has come (`claim`), marked when
 * the agent is about to see the prompt (`promptHanded`), final with the agent's result (`finish`), and out of its line
 * when the agent's process has ended (`release`), which makes the next of the session ready. `cancel`, `reject`,
 * `giveBack` and `lose` are the other ways back or out.
 */
import type { FinalRunEvent, JsonObject, RunEvent, RunStatus, WireError } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { newEvent } from "./event-log.ts";
import { channels } from "./redis/keys.ts";
import { type Cancel, cancelledError, RunCancelled } from "./run-cancelled.ts";
import { decodeRecord, encodeFields, type RunRecord, type RunRef } from "./run-record.ts";
import { toRunResult } from "./run-results.ts";
import type { ScriptContext } from "./run-script.ts";
import * as scripts from "./run-scripts.ts";
import { workerTtlMs } from "./silence.ts";

export type NewRun = Omit<RunRecord, "status" | "seq" | "lease" | "created_at">;

/** The first answer to an idempotency key is kept for a day. */
const idempotencyMs = 86_400_000;

export interface Spawned {
  readonly run_id: string;
  readonly session_id: string;
  /** The idempotency key was known: nothing was written, and these are the first run's ids. */
  readonly isRepeat: boolean;
  /** Its turn has come: it is in the outbox and must be dispatched. */
  readonly isReady: boolean;
}

export interface Claim {
  readonly lease: number;
  readonly worker_id: string;
  readonly runner: string;
}

export interface Claimed {
  readonly record: RunRecord;
  readonly memory: JsonObject | undefined;
}

/** How a run ended: the fields for its record, and its last event. */
export interface Ending {
  readonly event_type: FinalRunEvent["event_type"];
  readonly payload: FinalRunEvent["payload"];
  readonly fields: Partial<RunRecord>;
  readonly memory?: JsonObject | undefined;
}

export interface FinishOptions {
  /** What the run had to say before its last event, in order. */
  readonly events?: readonly object[];
  /** Nothing of the agent is left: the run is released as well. */
  readonly isEnded?: boolean;
}

/** A run that is out of its line, and the one whose turn it is then. */
export interface Left<Outcome> {
  readonly outcome: Outcome;
  readonly next: string | undefined;
}

export interface RunStore {
  /** `CONFLICT` when the idempotency key was used with another body, of which `hash` is the fingerprint. */
  spawn(run: NewRun, idempotency?: { key: string; hash: string }): Promise<Spawned>;
  /**
   * Undefined when the run is not to be had: cancelled, claimed by another, or the job is an old one. A beat of the worker
   * as well. Safe to repeat.
   */
  claim(ref: RunRef & { model: string }, claim: Claim): Promise<Claimed | undefined>;
  promptHanded(ref: RunRef, lease: number, memory?: JsonObject): Promise<"noted" | "lost" | RunCancelled>;
  /** Safe to repeat, as long as nobody is sure that it arrived. */
  finish(ref: RunRef, lease: number, ending: Ending, options?: FinishOptions): Promise<Left<"done" | "lost">>;
  /** Gives the run whose turn it is; nothing happens where another holds the run by now. Safe to repeat. */
  release(ref: RunRef, lease: number): Promise<string | undefined>;
  /** `outcome` is what the run was; undefined when there is none. */
  cancel(ref: RunRef, cancel?: Cancel): Promise<Left<RunStatus | undefined>>;
  /** Fails a waiting run that cannot be started. */
  reject(ref: RunRef, error: WireError): Promise<Left<"failed"> | undefined>;
  giveBack(ref: RunRef, lease: number, reason: string): Promise<"requeued" | "kept" | "lost">;
  /** Undefined when the run's worker is alive or the run is no longer its. */
  lose(
    ref: RunRef,
    holder: { lease: number; worker_id: string },
  ): Promise<Left<"requeued" | "failed" | "cancelled" | "released"> | undefined>;
  /** Forgets a final run; false while it is in line. */
  forget(ref: RunRef): Promise<boolean>;
  deleteSession(sessionId: string): Promise<"deleted" | "busy" | "unknown">;
}

/** What the control channel carries. */
export interface CancelOrder extends Cancel {
  readonly order: "cancel";
  readonly run_id: string;
}

export function createRunStore(context: ScriptContext): RunStore {
  const { keys } = context;
  return {
    async spawn(run, idempotency) {
      const { run_id, session_id, model, priority } = run;
      const created_at = now();
      const event = runEvent(run, "run.queued", { model, priority });
      const fields = encodeFields({ ...run, created_at });
      const values = {
        event,
        created_at,
        idempotency_hash: idempotency?.hash ?? "",
        idempotency_ms: idempotencyMs,
      };
      const extra = keys.idempotency(idempotency?.key ?? "");
      const answer = await scripts.spawnScript(context, run, values, { rest: fields, extra });
      const [outcome, ...rest] = answer as string[];
      if (outcome === "conflict") throw conflict(rest[0] ?? "");
      if (outcome === "repeated") {
        return { run_id: rest[0] ?? "", session_id: rest[1] ?? "", isRepeat: true, isReady: false };
      }
      return { run_id, session_id, isRepeat: false, isReady: rest[0] === "1" };
    },

    async claim(ref, { lease, worker_id, runner }) {
      const event = runEvent(ref, "run.started", { model: ref.model, runner, worker_id, attempt: lease });
      const rest = encodeFields({ runner, started_at: now() });
      const values = { lease, worker_id, event, worker_ttl_ms: workerTtlMs };
      const extra = keys.worker(worker_id);
      const answer = (await scripts.claimScript(context, ref, values, { rest, extra })) as [string[], string] | null;
      if (!answer) return undefined;
      const [record, memory] = answer;
      return { record: decodeRecord(record), memory: memory === "" ? undefined : (JSON.parse(memory) as JsonObject) };
    },

    async promptHanded(ref, lease, memory) {
      const values = { lease, memory: memory ? JSON.stringify(memory) : "" };
      const answer = await scripts.promptHandedScript(context, ref, values);
      if (!Array.isArray(answer)) return answer as "noted" | "lost";
      const [reason, grace] = answer as [string, string | null];
      return new RunCancelled({ reason, grace_ms: grace === null ? undefined : Number(grace) });
    },

    async finish(ref, lease, { event_type, payload, fields, memory }, { events = [], isEnded = false } = {}) {
      const values = {
        lease,
        to: event_type.slice("run.".length),
        earlier: events.map((event) => JSON.stringify(event)).join("\n"),
        is_ended: isEnded ? "1" : "",
        ...finalEvent(ref, { event_type, payload }),
        memory: memory ? JSON.stringify(memory) : "",
      };
      const rest = encodeFields({ ...fields, ended_at: now() });
      const [outcome, next] = (await scripts.finishScript(context, ref, values, { rest })) as ["done" | "lost", string];
      return { outcome, next: idOrNone(next) };
    },

    async release(ref, lease) {
      return idOrNone(await scripts.releaseScript(context, ref, { lease }));
    },

    async cancel(ref, { reason, grace_ms } = {}) {
      const error = cancelledError(reason);
      const order: CancelOrder = { order: "cancel", run_id: ref.run_id, reason, grace_ms };
      const values = {
        ...finalEvent(ref, { event_type: "run.cancelled", payload: { error } }),
        reason: reason ?? "",
        grace_ms: grace_ms ?? "",
        order: JSON.stringify(order),
      };
      const rest = encodeFields({ error, ended_at: now() });
      const answer = await scripts.cancelScript(context, ref, values, { rest });
      const [status, next] = answer as [RunStatus | null, string];
      return { outcome: status ?? undefined, next: idOrNone(next) };
    },

    async reject(ref, error) {
      const rest = encodeFields({ error, ended_at: now() });
      const values = finalEvent(ref, { event_type: "run.failed", payload: { error } });
      const next = await scripts.rejectScript(context, ref, values, { rest });
      return next === null ? undefined : { outcome: "failed", next: idOrNone(next) };
    },

    async giveBack(ref, lease, reason) {
      const event = runEvent(ref, "run.requeued", { reason });
      return (await scripts.giveBackScript(context, ref, { lease, event })) as "requeued" | "kept" | "lost";
    },

    async lose(ref, { lease, worker_id }) {
      const [failed, cancelled] = [workerLost(ref), cancelledError()];
      const whenFailed = finalEvent(ref, { event_type: "run.failed", payload: { error: failed } });
      const whenCancelled = finalEvent(ref, { event_type: "run.cancelled", payload: { error: cancelled } });
      const values = {
        lease,
        ended_at: now(),
        requeued_event: runEvent(ref, "run.requeued", {
          reason: "The worker was lost before the agent had the prompt.",
        }),
        failed_event: whenFailed.event,
        failed_result: whenFailed.result,
        failed_error: JSON.stringify(failed),
        cancelled_event: whenCancelled.event,
        cancelled_result: whenCancelled.result,
        cancelled_error: JSON.stringify(cancelled),
      };
      const answer = await scripts.loseScript(context, ref, values, { extra: keys.worker(worker_id) });
      if (!answer) return undefined;
      const [outcome, next] = answer as ["requeued" | "failed" | "cancelled" | "released", string];
      return { outcome, next: idOrNone(next) };
    },

    async forget(ref) {
      return (await scripts.forgetScript(context, ref, {})) === 1;
    },

    async deleteSession(session_id) {
      const values = {
        event: JSON.stringify(newEvent({ event_type: "session.deleted", source: "ksi", session_id, payload: {} })),
        run_prefix: keys.run(""),
        channel_prefix: keys.channel(channels.run("")),
        idempotency_prefix: keys.idempotency(""),
      };
      const place = { run_id: "", session_id };
      return (await scripts.deleteSessionScript(context, place, values)) as "deleted" | "busy" | "unknown";
    },
  };
}

function workerLost({ run_id }: RunRef): WireError {
  const message =
    "The worker died while the agent was working. The run is not repeated, since the agent may have changed things; " +
    "look at what it did, then spawn it again.";
  return { code: "WORKER_LOST", message, details: { run_id } };
}

function conflict(run_id: string): KsiError {
  return new KsiError(
    "CONFLICT",
    `This idempotency_key was used for run ${run_id} with another body. Use a new key for a new run.`,
    { details: { run_id } },
  );
}

/** The last event of a run, and what its session's results say of it. */
function finalEvent(ref: RunRef, ending: Pick<Ending, "event_type" | "payload">): { event: string; result: string } {
  const event = newEvent({ ...headerOf(ref), ...ending } as Draft) as FinalRunEvent;
  return { event: JSON.stringify(event), result: JSON.stringify(toRunResult(event)) };
}

function runEvent<Type extends RunEvent["event_type"]>(
  ref: RunRef,
  event_type: Type,
  payload: Extract<RunEvent, { event_type: Type }>["payload"],
): string {
  // The signature ties the payload to its type; the compiler does not follow that through a type parameter.
  return JSON.stringify(newEvent({ ...headerOf(ref), event_type, payload } as Draft));
}

function headerOf({ run_id, session_id, agent_id }: RunRef) {
  return { source: "ksi", run_id, session_id, ...(agent_id && { agent_id }) };
}

type Draft = Parameters<typeof newEvent>[0];

function now(): string {
  return new Date().toISOString();
}

function idOrNone(id: unknown): string | undefined {
  return typeof id === "string" && id !== "" ? id : undefined;
}
