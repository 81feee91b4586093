import { KsiError } from "@ksi/contract/errors";
import type { TRPCError } from "@trpc/server";
import type { Logger } from "./logger.ts";

/** Our own faults with their cause, which the caller never sees; what a caller did wrong, its frames too, only at debug. */
export function logCallError(logger: Logger, error: TRPCError, fields: object): void {
  const cause = error.cause instanceof KsiError ? error.cause : undefined;
  const isOurs = cause ? cause.code === "INTERNAL" : error.code === "INTERNAL_SERVER_ERROR" && !isBadFrame(error.cause);
  if (isOurs) {
    logger.error({ err: cause?.cause ?? error.cause ?? error, ...fields }, "call failed");
  } else {
    logger.debug({ code: cause?.code ?? error.code, reason: error.message, ...fields }, "call refused");
  }
}

/** What `ws` says of a frame that is malformed or too large; it comes before any token is shown. */
function isBadFrame(cause: unknown): boolean {
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === "string" && code.startsWith("WS_ERR_");
}
