/** How a KsiError looks to an OpenAI client: the status, the body, and whether its SDK tries again by itself. */
import { type ErrorCode, KsiError } from "@ksi/contract";
import type { OpenAiError } from "./chat-schemas.ts";
import { paramOfField } from "./params.ts";

/** A row of {@link openAiErrors}. */
export interface OpenAiErrorRow {
  /** Picks the error class of the SDKs. */
  readonly status: number;
  readonly type:
    | "invalid_request_error"
    | "authentication_error"
    | "permission_error"
    | "rate_limit_error"
    | "timeout_error"
    | "server_error";
  /** OpenAI's own code. Default: KSI's in lower case. */
  readonly code?: string;
  /** The field at fault, where it is always the same. */
  readonly param?: string;
  /** Unless the outcome is unknown nothing was accepted or written, so that the same request may be sent again. */
  readonly isRetryable?: true;
}

/** What each code is under `/v1`. */
export const openAiErrors = {
  INVALID_INPUT: { status: 400, type: "invalid_request_error" },
  MALFORMED_REQUEST: { status: 400, type: "invalid_request_error" },
  UNAUTHORIZED: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  FORBIDDEN: { status: 403, type: "permission_error" },
  NOT_FOUND: { status: 404, type: "invalid_request_error" },
  METHOD_NOT_ALLOWED: { status: 405, type: "invalid_request_error" },
  CONFLICT: { status: 409, type: "invalid_request_error" },
  PAYLOAD_TOO_LARGE: { status: 413, type: "invalid_request_error" },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, type: "invalid_request_error" },
  RATE_LIMITED: { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded", isRetryable: true },
  TIMEOUT: { status: 408, type: "timeout_error" },
  NO_AGENT: { status: 404, type: "invalid_request_error" },
  INBOX_FULL: { status: 429, type: "rate_limit_error" },
  LOOP_DETECTED: { status: 422, type: "invalid_request_error" },
  AGENT_FAILED: { status: 502, type: "server_error" },
  CANCELLED: { status: 499, type: "invalid_request_error" },
  HISTORY_TRIMMED: { status: 412, type: "invalid_request_error" },
  STORE_UNAVAILABLE: { status: 503, type: "server_error", isRetryable: true },
  SHUTTING_DOWN: { status: 503, type: "server_error", isRetryable: true },
  CONNECTION_LOST: { status: 502, type: "server_error" },
  INTERNAL: { status: 500, type: "server_error" },
  RUNNER_NOT_FOUND: { status: 502, type: "server_error" },
  RUNNER_NOT_EXECUTABLE: { status: 502, type: "server_error" },
  RUNNER_CRASHED: { status: 502, type: "server_error" },
  RUNNER_BAD_OUTPUT: { status: 502, type: "server_error" },
  RUNNER_OUTPUT_TOO_LARGE: { status: 502, type: "server_error" },
  SESSION_NOT_FOUND: { status: 404, type: "invalid_request_error", param: "metadata.session_id" },
  SESSION_IN_USE: { status: 409, type: "invalid_request_error", param: "metadata.session_id" },
  MODEL_NOT_FOUND: { status: 404, type: "invalid_request_error", param: "model" },
  MODEL_AUTH: { status: 502, type: "server_error" },
  MODEL_RATE_LIMITED: { status: 429, type: "rate_limit_error" },
  MODEL_OVERLOADED: { status: 503, type: "server_error" },
  MODEL_ERROR: { status: 502, type: "server_error" },
  MAX_TURNS: { status: 422, type: "invalid_request_error" },
  BUDGET_EXCEEDED: { status: 422, type: "invalid_request_error" },
  OUTPUT_INVALID: { status: 422, type: "invalid_request_error", param: "response_format" },
  RUN_CANCELLED: { status: 499, type: "invalid_request_error" },
  RUN_TIMED_OUT: { status: 504, type: "timeout_error" },
  WORKER_LOST: { status: 502, type: "server_error" },
} as const satisfies Record<ErrorCode, OpenAiErrorRow>;

export interface OpenAiErrorOptions {
  /** Beside those that the error itself sets. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether a run had been accepted: its turn may have had effects, so nothing is tried again. Default: false. */
  readonly isAccepted?: boolean;
  /** Whether the same request has no second effect: it only reads, or has a key. Default: false. */
  readonly isRepeatable?: boolean;
}

/**
 * The error as an answer in OpenAI's shape, with the status of {@link openAiErrors}.
 *
 * `x-should-retry` is `true` where nothing was accepted and trying again may help (`RATE_LIMITED`,
 * `STORE_UNAVAILABLE`, `SHUTTING_DOWN`; with the outcome unknown only for what is repeatable), with `retry-after-ms` and `retry-after` from `details.retry_after_ms` (default
 * 1,000); else it is `false`, since the SDKs would repeat a 408, 409, 429 or 5xx by themselves.
 */
export function openAiErrorResponse(error: KsiError, options: OpenAiErrorOptions = {}): Response {
  const row: OpenAiErrorRow = openAiErrors[error.code];
  // Redis may have the acceptance and carry it out later: a repeat would be a second turn.
  const isAtRisk = error.details?.outcome === "unknown" && !options.isRepeatable;
  const isRetryable = row.isRetryable === true && !options.isAccepted && !isAtRisk;
  const retryAfterMs = error.details?.retry_after_ms ?? 1_000;
  return Response.json(toOpenAiError(error), {
    status: row.status,
    headers: {
      "x-should-retry": String(isRetryable),
      ...(isRetryable && {
        "retry-after-ms": String(Math.ceil(retryAfterMs)),
        "retry-after": String(Math.ceil(retryAfterMs / 1_000)),
      }),
      ...(error.code === "UNAUTHORIZED" && { "www-authenticate": "Bearer" }),
      ...options.headers,
    },
  });
}

/** The body alone, as it is also sent in a stream that has begun. */
export function toOpenAiError({ code, message, details }: KsiError): OpenAiError {
  const row: OpenAiErrorRow = openAiErrors[code];
  const [issue] = details?.issues ?? [];
  const param = issue ? paramOfField(issue.path) : row.param;
  return { error: { message, type: row.type, param: param || null, code: row.code ?? code.toLowerCase() } };
}

/** What a field of the request cannot be; `param` names it as OpenAI does (`messages[0].content`). */
export function invalidParam(param: string, message: string): KsiError {
  return new KsiError("INVALID_INPUT", `${param}: ${message}`, { details: { issues: [{ path: param, message }] } });
}
