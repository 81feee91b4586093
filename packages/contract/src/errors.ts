/**
 * The closed list of everything that can go wrong, with the one class that carries it.
 *
 * This module imports nothing, so a browser can load it without zod or tRPC.
 */

/** What refuses or interrupts a call. */
const callErrorCodes = [
  /** A field of the input fails its schema; `details.issues` names each. */
  "INVALID_INPUT",
  /** The request could not be read at all (broken JSON, wrong frame). */
  "MALFORMED_REQUEST",
  /** No token, or one that this daemon did not issue. */
  "UNAUTHORIZED",
  /** The caller is known but may not do this (scope, Host, Origin, working directory). */
  "FORBIDDEN",
  /** No such run, session, agent, profile or key is visible to the caller; or nothing is served at this path. */
  "NOT_FOUND",
  /** The path is served, and not with this HTTP method. */
  "METHOD_NOT_ALLOWED",
  /** The call contradicts what exists (idempotency key with another body, busy session, other version of a key). */
  "CONFLICT",
  /** A body or frame is over the byte limit. */
  "PAYLOAD_TOO_LARGE",
  /** The body is in a format, charset or encoding that is not read here. */
  "UNSUPPORTED_MEDIA_TYPE",
  /** Too many calls; `details.retry_after_ms` says when to come back. */
  "RATE_LIMITED",
  /** A deadline passed before there was an answer; the work may still go on. */
  "TIMEOUT",
  /** No online agent has the capability; `details.capabilities` lists what the online ones have. */
  "NO_AGENT",
  /** The inbox holds as many unacknowledged messages as it may. */
  "INBOX_FULL",
  /** The message has passed through more hands than it may: agents are answering each other without end. */
  "LOOP_DETECTED",
  /** The agent that was asked could not do it; `details.agent_error` is what it said. */
  "AGENT_FAILED",
  /** The caller went away or asked to stop. */
  "CANCELLED",
  /** Events after the given cursor are no longer kept; after `details.oldest` one can go on. */
  "HISTORY_TRIMMED",
  /** Redis is away, out of memory or read-only; nothing was written, unless `details.outcome` is `unknown`. */
  "STORE_UNAVAILABLE",
  /** The daemon is stopping and takes no new work. */
  "SHUTTING_DOWN",
  /** Raised by a client: the daemon cannot be reached, or is not a KSI daemon. */
  "CONNECTION_LOST",
  /** A fault of ours. The log has the cause; the caller sees only this. */
  "INTERNAL",
] as const;

/** What ends an accepted run other than `completed`; found in `run.error.code`. */
const runErrorCodes = [
  /** The agent's program is not installed where the worker looks. */
  "RUNNER_NOT_FOUND",
  /** The agent's program exists but cannot be started. */
  "RUNNER_NOT_EXECUTABLE",
  /** The agent's process ended without a result. */
  "RUNNER_CRASHED",
  /** The agent's process printed something that is not its protocol. */
  "RUNNER_BAD_OUTPUT",
  /** The agent's process printed more than the limit allows. */
  "RUNNER_OUTPUT_TOO_LARGE",
  /** The runner was asked to continue a session that it does not have. */
  "SESSION_NOT_FOUND",
  /** Something outside KSI already uses this session id. */
  "SESSION_IN_USE",
  /** No runner serves this model, or the provider does not know it. */
  "MODEL_NOT_FOUND",
  /** The provider refused the agent's credentials. */
  "MODEL_AUTH",
  /** The provider's rate limit held for longer than the agent retries. */
  "MODEL_RATE_LIMITED",
  /** The provider is overloaded. */
  "MODEL_OVERLOADED",
  /** Any other failure that the provider reported. */
  "MODEL_ERROR",
  /** The agent reached its limit of turns. */
  "MAX_TURNS",
  /** The agent reached its limit of cost. */
  "BUDGET_EXCEEDED",
  /** The agent's answer never satisfied `output_schema`; in a client, what came does not fit the schema that was given. */
  "OUTPUT_INVALID",
  /** Somebody cancelled the run. */
  "RUN_CANCELLED",
  /** The run took longer than its `timeout_ms`. */
  "RUN_TIMED_OUT",
  /** The worker died or stood still after the agent had the prompt; it is not repeated, since agents have side effects. */
  "WORKER_LOST",
] as const;

export const errorCodes = [...callErrorCodes, ...runErrorCodes] as const;

/** Every code that KSI can answer. The list is closed: a surface that lacks a row for one does not compile. */
export type ErrorCode = (typeof errorCodes)[number];

/** The codes that `run.error.code` can hold. `INTERNAL` and `STORE_UNAVAILABLE` are faults of the worker. */
export type RunErrorCode = (typeof runErrorCodes)[number] | "INTERNAL" | "STORE_UNAVAILABLE";

/** One field that failed its schema. `path` is dotted (`tools.0`), empty for the whole input. */
export interface Issue {
  path: string;
  message: string;
}

/** Facts for programs beside the message. Only what a caller may see goes in here. */
export interface ErrorDetails {
  issues?: Issue[];
  /** The cursor after which one can go on, directly before the oldest event that is still kept. */
  oldest?: string;
  /** Why the history cannot be continued: events were trimmed, or the log's numbering started anew. */
  reason?: "trimmed" | "epoch_changed";
  /** The call was on its way when the store stopped answering: it may have been carried out, or may yet be. */
  outcome?: "unknown";
  retry_after_ms?: number;
  run_id?: string;
  /** Of a message that was sent although its answer did not come in time. */
  message_id?: string;
  /** What an agent answered in place of what it was asked for. */
  agent_error?: { code?: string | undefined; message: string };
  /** What the agents that are online can do. */
  capabilities?: string[];
  /** The version that a key of the shared state has; 0 where it is not there. */
  version?: number;
  [fact: string]: unknown;
}

export interface KsiErrorOptions {
  details?: ErrorDetails | undefined;
  /** Kept for the log, never sent to a caller. */
  cause?: unknown;
}

/**
 * The one error class. `message` tells a person what happened and what to do next; it holds no secret and no prompt.
 */
export class KsiError extends Error {
  override readonly name = "KsiError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(code: ErrorCode, message: string, options: KsiErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details;
  }

  /**
   * Turns anything thrown into a KsiError, once, at the edge where it is caught.
   *
   * A KsiError stays as it is. An abort becomes `CANCELLED`, an expired `AbortSignal.timeout` `TIMEOUT`; whatever
   * carries our wire shape (`{ code, message, details }`, also under `data.ksi` as tRPC clients throw it) is read
   * back. All else is `INTERNAL`, with the original as `cause`.
   */
  static from(thrown: unknown): KsiError {
    if (thrown instanceof KsiError) return thrown;
    const wire = readWireError(thrown);
    if (wire) return new KsiError(wire.code, wire.message, { details: wire.details, cause: thrown });
    if (isNamed(thrown, "AbortError")) return new KsiError("CANCELLED", "The call was cancelled.", { cause: thrown });
    if (isNamed(thrown, "TimeoutError")) return new KsiError("TIMEOUT", "The call took too long.", { cause: thrown });
    return new KsiError("INTERNAL", "Something went wrong inside KSI. The daemon's log has the cause.", {
      cause: thrown,
    });
  }

  /** The shape every surface sends: `{ code, message, details? }`. */
  toJSON(): WireError {
    return { code: this.code, message: this.message, ...(this.details && { details: this.details }) };
  }
}

/** An error as it travels: in `run.error`, in tRPC's `data.ksi`, in REST bodies. */
export interface WireError {
  code: ErrorCode;
  message: string;
  details?: ErrorDetails | undefined;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return (errorCodes as readonly unknown[]).includes(value);
}

function readWireError(thrown: unknown): WireError | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  const candidate = (thrown as { data?: { ksi?: unknown } }).data?.ksi ?? thrown;
  if (typeof candidate !== "object" || candidate === null) return undefined;
  const { code, message, details } = candidate as Partial<WireError>;
  if (!isErrorCode(code) || typeof message !== "string") return undefined;
  return { code, message, details };
}

function isNamed(thrown: unknown, name: string): boolean {
  return typeof thrown === "object" && thrown !== null && (thrown as { name?: unknown }).name === name;
}
