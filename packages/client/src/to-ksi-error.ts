/** The one funnel from whatever tRPC, fetch or a socket throws to KsiError. */
import { KsiError } from "@ksi/contract/errors";
import { TRPCClientError } from "@trpc/client";

export function toKsiError(thrown: unknown): KsiError {
  if (!(thrown instanceof TRPCClientError)) return KsiError.from(thrown);
  const error = KsiError.from(thrown.data ? thrown : (thrown.cause ?? thrown));
  // Without `data` the daemon itself said nothing, so whatever is not ours is the connection's.
  const isOurs = thrown.data || error.code !== "INTERNAL" || thrown.cause instanceof KsiError;
  return isOurs ? error : connectionLost(thrown);
}

function connectionLost(cause: unknown): KsiError {
  return new KsiError("CONNECTION_LOST", "The connection to the KSI daemon was lost; see whether it still runs.", {
    cause,
  });
}

/** Failures that pass by themselves: the daemon restarts, or its store does. */
export function isTransient({ code }: KsiError): boolean {
  return code === "CONNECTION_LOST" || code === "STORE_UNAVAILABLE" || code === "SHUTTING_DOWN";
}
