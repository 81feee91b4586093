/**
 * For how long a daemon may be silent: towards the others, and towards its reaper.
 *
 * A daemon that stands still (SIGSTOP, a debugger, an event loop that is blocked) renews nothing, so that after
 * `workerTtlMs` others take over its runs. Its agents have to be gone by then, and a daemon that was busy
 * for two seconds keeps them. In the order of time, from the last sign of life on:
 *
 * | ms | |
 * | --- | --- |
 * | 500 | the next sign is due |
 * | 3,000 | the silence is too long: agents are asked to end, and killed half a second later |
 * | 5,500 | the earliest at which another worker may have one of the runs: the last beat may have been before |
 *
 * Imports nothing: the reaper's process loads it.
 */

/** From one beat of a worker in Redis to the next. */
export const beatMs = 500;
/**
 * A worker without a beat for this long is dead to the others. A busy machine must not look like a dead worker, and one
 * that stands still must have lost its agents by then.
 */
export const workerTtlMs = 6_000;
/** From one sign of life to the next. */
export const signMs = 500;
/** A silence of this length ends agents. @internal for its tests */
export const longestSilenceMs = 3_000;
/** How often the reaper looks. */
export const lookMs = 200;
/** Of the time between two looks, no more than this counts. */
const longestStepMs = 500;

export interface Silence {
  /** A sign of life. */
  heard(): void;
  /** To be called every `lookMs` with a clock in ms; whether the silence is too long by now. */
  look(nowMs: number): boolean;
}

/**
 * Counts only time in which a sign could have been heard. One who looks late did not get the processor, and then the
 * other side may have got none either: on a machine that is overloaded, suspended or frozen as a whole, time stands
 * almost still here.
 */
export function createSilence(): Silence {
  let silentMs = 0;
  let lookedAt: number | undefined;
  return {
    heard() {
      silentMs = 0;
    },
    look(nowMs) {
      silentMs += Math.min(nowMs - (lookedAt ?? nowMs), longestStepMs);
      lookedAt = nowMs;
      return silentMs >= longestSilenceMs;
    },
  };
}
