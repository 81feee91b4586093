/** What Redis keeps of a run: the fields of its hash, and how each is written as a string. */
import type { Image, JsonObject, Run } from "@ksi/contract";

/** A run as it is stored: what callers see, and what only workers need. */
export interface RunRecord extends Run {
  prompt: string;
  /** Megabytes, so they are dropped with the run's end. */
  images?: Image[];
  system_prompt?: string;
  /** The caller's narrowing; absent for all configured tools. */
  tools?: string[];
  enable_tools: boolean;
  /** Resolved, inside one of the roots. */
  cwd: string;
  output_schema?: JsonObject;
  idempotency_key?: string;
  /** The place among all runs of the tenant: higher is later. */
  seq: number;
  /** Goes up by one with each claim, so it is also the number of the attempt. Only its holder may write. */
  lease: number;
  worker_id?: string;
  /** Set from the moment at which the agent may have seen the prompt. */
  prompt_handed?: boolean;
  cancel_requested?: boolean;
  cancel_reason?: string;
  cancel_grace_ms?: number;
}

/** Which run is meant, and whose events it writes. These never change, so whoever knows them need not ask. */
export type RunRef = Pick<RunRecord, "run_id" | "session_id" | "agent_id">;

/** `json` also writes booleans and numbers; `text` is kept as it is. */
const publicFields = {
  run_id: "text",
  session_id: "text",
  status: "text",
  model: "text",
  runner: "text",
  agent_id: "text",
  agent_profile: "text",
  priority: "json",
  timeout_ms: "json",
  created_at: "text",
  started_at: "text",
  ended_at: "text",
  result: "text",
  output: "json",
  error: "json",
  usage: "json",
  cost_usd: "json",
  duration_ms: "json",
  num_turns: "json",
  stop_reason: "text",
  metadata: "json",
} as const satisfies Record<keyof Run, "text" | "json">;

const fields = {
  ...publicFields,
  prompt: "text",
  images: "json",
  system_prompt: "text",
  tools: "json",
  enable_tools: "json",
  cwd: "text",
  output_schema: "json",
  idempotency_key: "text",
  seq: "json",
  lease: "json",
  worker_id: "text",
  prompt_handed: "json",
  cancel_requested: "json",
  cancel_reason: "text",
  cancel_grace_ms: "json",
} as const satisfies Record<keyof RunRecord, "text" | "json">;

/** The fields of a run that callers see, for HMGET: lists must not read prompts. */
export const publicFieldNames = Object.keys(publicFields) as (keyof Run)[];

/** Name, value, name, value, … for HSET. Absent fields are left out. */
export function encodeFields(record: Partial<RunRecord>): string[] {
  return Object.entries(record).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return [name, fields[name as keyof RunRecord] === "text" ? String(value) : JSON.stringify(value)];
  });
}

/** The opposite of {@link encodeFields}: of names and values in turn, as a script's HGETALL gives them. */
export function decodeRecord(flat: readonly string[]): RunRecord {
  const record: Record<string, unknown> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [name, value] = [flat[i] ?? "", flat[i + 1] ?? ""];
    const kind = fields[name as keyof RunRecord];
    // A field of a newer version is not ours to read.
    if (kind) record[name] = kind === "text" ? value : JSON.parse(value);
  }
  return record as unknown as RunRecord;
}

/** A run from the answer of `HMGET key ...publicFieldNames`; undefined where there is none. */
export function decodeRun(values: readonly (string | null)[]): Run | undefined {
  if (values[0] == null) return undefined;
  const flat = publicFieldNames.flatMap((name, i) => {
    const value = values[i];
    return value == null ? [] : [name, value];
  });
  return decodeRecord(flat);
}
