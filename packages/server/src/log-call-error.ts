import { KsiError } from "@ksi/contract/errors";
import type { TRPCError } from "@trpc/server";
import type { Logger } from "./logger.ts";

export interface FailedCall {
  readonly procedure?: string | undefined;
  readonly path?: string | undefined;
  readonly request_id?: string | undefined;
}

/**
 * Our own faults with their cause, which the caller never sees; what a caller did wrong, its frames too, only at debug.
 *
 * What fails once its caller has gone away (`signal`) is no fault: whatever was under way has been broken off.
 */
export function logCallError(
  logger: Logger,
  error: TRPCError | KsiError,
  call: FailedCall,
  signal?: AbortSignal | undefined,
): void {
  const known = [error, error.cause].find((candidate) => candidate instanceof KsiError);
  const code = known?.code ?? error.code;
  const isOurs = known ? code === "INTERNAL" : code === "INTERNAL_SERVER_ERROR" && !isBadFrame(error.cause);
  if (isOurs && !signal?.aborted) {
    logger.error({ err: known?.cause ?? error.cause ?? error, ...call }, "call failed");
  } else {
    logger.debug({ code, reason: error.message, ...call }, "call refused");
  }
}

/** What `ws` says of a frame that is malformed or too large; it comes before any token is shown. */
function isBadFrame(cause: unknown): boolean {
  const { code } = (cause ?? {}) as { code?: unknown };
  return typeof code === "string" && code.startsWith("WS_ERR_");
}
