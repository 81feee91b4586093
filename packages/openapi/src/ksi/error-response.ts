/** KSI's errors as REST answers. */
import { type ErrorDetails, KsiError, toWireError } from "@ksi/contract";
import type { TRPCError } from "@trpc/server";
import type { RestFailure } from "../rest/failure.ts";
import { restStatuses } from "./statuses.ts";

/**
 * The status by {@link restStatuses}, and the error's details beside its code and message. `retry-after` is in whole
 * seconds, from `details.retry_after_ms`.
 */
export function toRestFailure({ code, message, details }: KsiError): RestFailure {
  const retryAfterMs = details?.retry_after_ms;
  return {
    status: restStatuses[code],
    error: { code, message, ...details },
    headers: {
      ...(retryAfterMs !== undefined && { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) }),
      ...(code === "UNAUTHORIZED" && { "www-authenticate": "Bearer" }),
    },
  };
}

/** `{"error": {"code", "message", …details}}`, with what is in `extra` in it too. For doors beside the REST handler. */
export function errorResponse(error: KsiError, extra: object = {}): Response {
  const { status, error: body, headers = {} } = toRestFailure(error);
  return Response.json({ error: { ...body, ...extra } }, { status, headers });
}

/** What a call that failed in tRPC, or on its way there, is answered. */
export function formatKsiError(error: TRPCError): RestFailure {
  const { code, message, details } = toWireError(error);
  // For a request that could not be read, toWireError explains how tRPC's own inputs are written.
  const isUnread = error.cause && !(error.cause instanceof KsiError) && code !== "INTERNAL" && !details?.issues;
  if (isUnread) return toRestFailure(new KsiError(code, wordsOf(error), { details }));
  return toRestFailure(new KsiError(code, inRestNames(message), { details: details && namesOfRest(details) }));
}

/** Where a stream resumes is called so in the query; tRPC has its own name for it. */
function inRestNames(text: string): string {
  return text.replace(/\blastEventId\b/g, "last_event_id");
}

function namesOfRest(details: ErrorDetails): ErrorDetails {
  const { issues } = details;
  if (!issues) return details;
  return { ...details, issues: issues.map(({ path, message }) => ({ path: inRestNames(path), message })) };
}

/** An error that only repeats its cause says nothing that was written for a caller. */
function wordsOf({ message, cause }: TRPCError): string {
  return message === cause?.message ? "The request cannot be read." : message;
}
