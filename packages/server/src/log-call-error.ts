import { KsiError } from "@ksi/contract/errors";
import type { TRPCError } from "@trpc/server";
import type { Logger } from "./logger.ts";

/** Our own faults with their cause, which the caller never sees; what a caller did wrong only at debug. */
export function logCallError(logger: Logger, error: TRPCError, fields: object): void {
  const cause = error.cause instanceof KsiError ? error.cause : undefined;
  if (cause ? cause.code === "INTERNAL" : error.code === "INTERNAL_SERVER_ERROR") {
    logger.error({ err: cause?.cause ?? error.cause ?? error, ...fields }, "call failed");
  } else {
    logger.debug({ code: cause?.code ?? error.code, reason: error.message, ...fields }, "call refused");
  }
}
