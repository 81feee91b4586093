/** What a caller is told when a call fails. */
import type { TRPCError } from "@trpc/server";
import { getHTTPStatusCodeFromError } from "@trpc/server/http";
import { z } from "zod";

/** An error answer: the status, and the body `{"error": {…}}`. */
export interface RestFailure {
  readonly status: number;
  readonly error: RestError;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RestError {
  readonly code: string;
  /** One sentence for people. */
  readonly message: string;
  /** What is wrong with the input, where that is what is wrong. */
  readonly issues?: readonly RestIssue[];
  readonly [fact: string]: unknown;
}

export interface RestIssue {
  /** The field, as in `filter.tags.0`. Empty for the input as a whole. */
  readonly path: string;
  readonly message: string;
}

/**
 * The default for `formatError`. The code is tRPC's (`NOT_FOUND`), the status is the one that tRPC has for it, and the
 * message is the error's own.
 *
 * An input that fails its schema is 422 `UNPROCESSABLE_CONTENT` with `issues`. An `INTERNAL_SERVER_ERROR` tells nothing of
 * itself, and neither does an error that only repeats its cause's message, which nobody has written for callers.
 */
export function formatTrpcError(error: TRPCError): RestFailure {
  const issues = inputIssues(error);
  if (issues) {
    const message = issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
    return { status: 422, error: { code: "UNPROCESSABLE_CONTENT", message, issues } };
  }
  const isPrivate = error.code === "INTERNAL_SERVER_ERROR" || error.message === error.cause?.message;
  const message = isPrivate ? phraseOf(error.code) : error.message;
  return { status: getHTTPStatusCodeFromError(error), error: { code: error.code, message } };
}

/**
 * What is wrong with the input, where `error` is tRPC's for an input that failed its schema. A schema error under any other
 * code, such as that of an output, is a fault of the server and none of the caller's business.
 */
export function inputIssues({ code, cause }: TRPCError): RestIssue[] | undefined {
  if (code !== "BAD_REQUEST" || !(cause instanceof z.core.$ZodError)) return undefined;
  return cause.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message }));
}

/** `NOT_FOUND` is `Not found.` */
function phraseOf(code: string): string {
  return `${code.charAt(0)}${code.slice(1).toLowerCase().replaceAll("_", " ")}.`;
}
