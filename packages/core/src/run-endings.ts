/** How a run can end, as its last event and the fields of its record. */
import { type Json, limits, type WireError } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { fitJson } from "./agent-json.ts";
import type { RunRecord } from "./run-record.ts";
import type { Ending } from "./run-store.ts";
import { listReadyModels } from "./runners/probe.ts";
import type { Runner, TurnOutcome } from "./runners/runner.ts";

/** `elapsedMs` from the start of the agent. Throws `OUTPUT_INVALID` for an answer that no caller could be given. */
export function completed(outcome: TurnOutcome, elapsedMs: number): Ending {
  const output = outcome.output === undefined ? undefined : answerToGive(outcome.output);
  const { result, usage, cost_usd, num_turns, stop_reason, model, memory } = outcome;
  const known = {
    result,
    ...(output !== undefined && { output }),
    ...(usage && { usage }),
    ...(cost_usd !== undefined && { cost_usd }),
    duration_ms: Math.round(elapsedMs),
    ...(num_turns !== undefined && { num_turns }),
    ...(stop_reason !== undefined && { stop_reason }),
  };
  return { event_type: "run.completed", payload: { ...known, model }, fields: known, memory };
}

function answerToGive(output: Json): Json {
  const { value, isTooDeep } = fitJson(output);
  if (!isTooDeep) return value;
  throw new KsiError("OUTPUT_INVALID", `The agent's answer is nested more than ${limits.jsonDepth} levels deep.`);
}

export function notCompleted(error: KsiError, elapsedMs: number): Ending {
  const wire: WireError = error.toJSON();
  return {
    event_type: endingTypes[error.code] ?? "run.failed",
    payload: { error: wire },
    fields: { error: wire, duration_ms: Math.round(elapsedMs) },
  };
}

const endingTypes: Partial<Record<KsiError["code"], "run.cancelled" | "run.timed_out">> = {
  RUN_CANCELLED: "run.cancelled",
  RUN_TIMED_OUT: "run.timed_out",
};

export function timedOut({ timeout_ms }: RunRecord): KsiError {
  const message = `The run took longer than its limit of ${timeout_ms} ms. Give it more with timeout_ms.`;
  return new KsiError("RUN_TIMED_OUT", message);
}

/** Says what would run now, since the model's name is most often a slip. */
export async function noRunner(model: string, runners: readonly Runner[]): Promise<KsiError> {
  const ready = await listReadyModels(runners);
  const advice = ready ? `Ready here: ${ready}.` : "No other is ready here either: the daemon's status says why.";
  return new KsiError("MODEL_NOT_FOUND", `No runner serves the model ${model}. ${advice}`);
}

/** The agent has worked, and what it answered is in the turn log at best. */
export function notStored(): KsiError {
  return new KsiError("INTERNAL", "The agent's result could not be stored. The daemon's log has the cause.");
}

/** A prompt that was handed over cannot be taken back, so a stop ends the run: cancelled, as a person wanted the stop. */
export function stopped(): KsiError {
  return new KsiError(
    "RUN_CANCELLED",
    "The worker was stopped while the agent was working. The run is not repeated, since the agent may have changed " +
      "things; look at what it did, then spawn it again.",
  );
}
