import type { Logger } from "./logger.ts";

/** Of the same reason; how long an outage may be said once. */
const quietMs = 60_000;
/** Reasons may hold ids. */
const maxReasons = 100;

/**
 * Warns of a failure that comes again every second for as long as Redis is away: the first time, and then once a minute
 * with `repeated`, how often it came since the last line. Errors with different messages are told apart.
 */
export function createRepeatedWarning(logger: Logger, message: string): (error: unknown, fields?: object) => void {
  const told = new Map<string, { at: number; repeated: number }>();
  return (error, fields = {}) => {
    const reason = error instanceof Error ? error.message : String(error);
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
