import type { ErrorCode, FinalRunEvent, FinalRunStatus, Json } from "@ksi/contract";

/**
 * How a run ended, in the channel of its session's results. Flat, and the same for every end, for listeners that know
 * Redis and nothing of KSI's events.
 */
export interface RunResult {
  /** Of the run's final event. */
  readonly id: string;
  readonly session_id: string;
  readonly run_id: string;
  readonly status: FinalRunStatus;
  /** What the agent answered: the value where the run had an `output_schema`, else its text; null for a run without. */
  readonly output: Json;
  /** Null for a completed run. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
  readonly timestamp: string;
}

export function toRunResult(event: FinalRunEvent): RunResult {
  const { id, session_id, run_id, timestamp } = event;
  const common = { id, session_id, run_id };
  if (event.event_type === "run.completed") {
    const { output, result } = event.payload;
    // An output may itself be null.
    return { ...common, status: "completed", output: output === undefined ? result : output, error: null, timestamp };
  }
  const { code, message } = event.payload.error;
  return { ...common, status: statuses[event.event_type], output: null, error: { code, message }, timestamp };
}

const statuses = { "run.failed": "failed", "run.cancelled": "cancelled", "run.timed_out": "timed_out" } as const;
