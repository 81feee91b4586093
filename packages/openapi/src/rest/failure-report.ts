/** From whatever was thrown to what is sent, with a word to `onError` on the way. */
import { getTRPCErrorFromUnknown, TRPCError } from "@trpc/server";
import { formatTrpcError, type RestFailure } from "./failure.ts";
import { toJson } from "./json.ts";

export interface FailureReportOptions {
  readonly formatError?: ((error: TRPCError) => RestFailure) | undefined;
  readonly onError?: ((failure: OpenApiFailure) => void) | undefined;
}

export interface OpenApiFailure {
  readonly error: TRPCError;
  readonly request: Request;
  /** In the router: `runs.spawn`. Not there where no operation was found. */
  readonly procedure?: string;
}

/** `body` is the JSON of `{"error": {…}}`. */
export interface FailureReport {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type ReportFailure = (thrown: unknown, request: Request, procedure?: string) => FailureReport;

export function createFailureReport({ formatError = formatTrpcError, onError }: FailureReportOptions): ReportFailure {
  return (thrown, request, procedure) => {
    const error = toTrpcError(thrown, request.signal);
    try {
      onError?.(procedure === undefined ? { error, request } : { error, request, procedure });
    } catch {
      // The caller's answer does not depend on who else hears of it.
    }
    try {
      return toReport(formatError(error));
    } catch {
      return toReport(formatTrpcError(new TRPCError({ code: "INTERNAL_SERVER_ERROR" })));
    }
  };
}

/** With headers of the protocol's own, such as `allow`. */
export function failureResponse({ status, headers, body }: FailureReport, more?: Record<string, string>): Response {
  return new Response(body, { status, headers: { "content-type": "application/json", ...headers, ...more } });
}

function toReport({ status, headers = {}, error }: RestFailure): FailureReport {
  return { status, headers, body: toJson({ error }) ?? "" };
}

/** A procedure that stops because its caller is gone has not failed. */
function toTrpcError(thrown: unknown, signal: AbortSignal): TRPCError {
  const error = getTRPCErrorFromUnknown(thrown);
  const { code, cause } = error;
  if (!signal.aborted || code !== "INTERNAL_SERVER_ERROR") return error;
  const isAbort = cause === signal.reason || cause?.name === "AbortError";
  return isAbort ? new TRPCError({ code: "CLIENT_CLOSED_REQUEST", message: "The request was aborted.", cause }) : error;
}
