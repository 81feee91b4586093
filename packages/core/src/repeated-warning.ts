import { KsiError } from "@ksi/contract/errors";
import type { Logger } from "./logger.ts";

/** Of the same reason; how long an outage may be said once. */
const quietMs = 60_000;
/** Reasons may hold ids. */
const maxReasons = 100;

/**
 * Warns of a failure that comes again every second for as long as Redis is away: the first time, and then once a minute
 * with `repeated`, how often it came since the last line. Errors with different messages are told apart, but for those of
 * a Redis that does not answer: an outage is one reason, however it shows.
 */
export function createRepeatedWarning(logger: Logger, message: string): (error: unknown, fields?: object) => void {
  const told = new Map<string, { at: number; repeated: number }>();
  return (error, fields = {}) => {
    const reason = reasonOf(error);
    const now = performance.now();
    const last = told.get(reason);
    if (last && now < last.at + quietMs) {
      last.repeated += 1;
      return;
    }
    if (told.size >= maxReasons) told.clear();
    told.set(reason, { at: now, repeated: 0 });
    logger.warn({ ...fields, err: error, ...(last && { repeated: last.repeated }) }, message);
  };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Calls time out, then the connection is given up, then there is none: three messages in one outage, from each part of a
  // process that looks at Redis all the time. What Redis answers (out of memory, say) is a reason of its own.
  const isAnswered = error.cause instanceof Error && error.cause.name === "ReplyError";
  return error instanceof KsiError && error.code === "STORE_UNAVAILABLE" && !isAnswered ? error.code : error.message;
}
