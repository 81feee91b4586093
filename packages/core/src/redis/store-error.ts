/** What Redis and the way to it can do wrong, said in one sentence each. */
import { KsiError } from "@ksi/contract/errors";

/** First word of an error reply, and what it means for whoever runs KSI. */
const replyMeanings: Record<string, string> = {
  OOM: "Redis is out of memory and refuses writes. Raise its maxmemory or keep less history.",
  READONLY: "This Redis is a read-only replica. Point KSI_REDIS_URL at the primary.",
  MISCONF: "Redis refuses writes because it cannot save to its disk. Check the free space there and Redis's log.",
  NOAUTH: "Redis asks for a password. Put it into KSI_REDIS_URL: redis://:password@host:port.",
  WRONGPASS: "Redis refused the user name or password in KSI_REDIS_URL.",
  NOPERM:
    "The Redis user in KSI_REDIS_URL may not run a command that KSI needs. Give it +@all on KSI's keys and channels.",
  LOADING: "Redis is still loading its data. Try again in a moment.",
  BUSY: "Redis is busy with a script that does not end. Look at its log, or run SCRIPT KILL there.",
  MASTERDOWN: "This Redis replica has lost its primary. Try again when the failover is over.",
  CLUSTERDOWN: "The Redis Cluster is down. Try again when it has recovered.",
  NOREPLICAS: "Redis refuses writes because it has too few replicas (min-replicas-to-write).",
  MOVED: "This Redis is a node of a Cluster, which KSI does not support yet. Use a single Redis or Sentinel.",
};

/** Codes of Node's network errors. */
const networkMeanings: Record<string, string> = {
  ECONNREFUSED: "Nothing answers at Redis's address. Is it running?",
  ENOENT: "Redis's socket does not exist. Is Redis running?",
  EACCES: "The socket of Redis does not let this user in.",
  ENOTFOUND: "The host name of Redis is unknown. Check KSI_REDIS_URL.",
  EAI_AGAIN: "The host name of Redis cannot be looked up at the moment.",
  ETIMEDOUT: "Redis's address does not answer. Check KSI_REDIS_URL and the firewall.",
  EHOSTUNREACH: "The host of Redis cannot be reached.",
  ENETUNREACH: "The network of Redis cannot be reached.",
  ECONNRESET: "Redis closed the connection. Is it a TLS port (rediss://), or is it restarting?",
  EPIPE: "Redis closed the connection.",
  ERR_TLS_CERT_ALTNAME_INVALID: "The TLS certificate of Redis is for another host name.",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The TLS certificate of Redis is self-signed. Set NODE_EXTRA_CA_CERTS to its CA.",
  SELF_SIGNED_CERT_IN_CHAIN: "The TLS certificate of Redis is from an unknown CA. Set NODE_EXTRA_CA_CERTS to it.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The TLS certificate of Redis is from an unknown CA. Set NODE_EXTRA_CA_CERTS to it.",
  CERT_HAS_EXPIRED: "The TLS certificate of Redis has expired.",
};

/** What ioredis says itself; it has no codes for these. */
const clientMeanings: readonly [pattern: RegExp, meaning: string][] = [
  [
    /^Command timed out|^Socket timeout/,
    "Redis took too long to answer. It may be overloaded, or the network may be cut.",
  ],
  [/^Reached the max retries per request|^Command aborted due to connection close/, "The connection to Redis is gone."],
  [/^Connection is closed|^Stream isn't writeable/, "The connection to Redis is closed."],
  [/^All sentinels are unreachable/, "None of the Sentinels in KSI_REDIS_URL answers."],
  [/^Unknown RESP type/, "What answers at Redis's address is not a Redis. Check KSI_REDIS_URL."],
  [/^ERR max number of clients reached/, "Redis has no connection left (maxclients)."],
];

/** Added to these where the call was on its way: Redis, or the network, may still have it, and carry it out later. */
const unknownOutcome = "What was being written may or may not have arrived.";

/**
 * Anything thrown by a call to Redis, as a KsiError: `STORE_UNAVAILABLE` with the reason where Redis is away, full,
 * read-only or refuses us; otherwise what `KsiError.from` makes of it (`INTERNAL` for a wrong command).
 */
export function toStoreError(thrown: unknown): KsiError {
  return recogniseStoreError(thrown) ?? KsiError.from(thrown);
}

/**
 * The same, but undefined for what is not a failure of the store. Where the call `wasSent` and Redis did not answer it,
 * `details.outcome` is `unknown`: it may have been carried out, or may yet be. Without that it was not.
 */
export function recogniseStoreError(thrown: unknown, wasSent = false): KsiError | undefined {
  if (thrown instanceof KsiError || !(thrown instanceof Error)) return undefined;
  const meaning = findMeaning(thrown);
  if (meaning === undefined) return undefined;
  const isUnknown = wasSent && thrown.name !== "ReplyError";
  return new KsiError("STORE_UNAVAILABLE", isUnknown ? `${meaning} ${unknownOutcome}` : meaning, {
    cause: thrown,
    ...(isUnknown && { details: { outcome: "unknown" } }),
  });
}

/** True for what waiting does not mend: a refusal, or an answer that no Redis gives. */
export function isPermanent(error: unknown): boolean {
  const reply = error instanceof KsiError ? error.cause : error;
  return reply instanceof Error && /^(NOAUTH|WRONGPASS|NOPERM|MOVED|Unknown RESP type)\b/.test(reply.message);
}

function findMeaning(error: Error): string | undefined {
  // A host with both address families fails with one error that holds the others.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code = (first as NodeJS.ErrnoException | undefined)?.code;
  return (
    (code === undefined ? undefined : networkMeanings[code]) ??
    replyMeanings[/^[A-Z]+/.exec(error.message)?.[0] ?? ""] ??
    clientMeanings.find(([pattern]) => pattern.test(error.message))?.[1]
  );
}
