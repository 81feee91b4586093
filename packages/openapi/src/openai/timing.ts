/** Where the time of a request went: to the agent, or to KSI. */

export interface Timing {
  /** The agent was seen to start. The first call counts. */
  started(): void;
  /** The agent was seen to end. */
  ended(): void;
  /**
   * Whole milliseconds from the arrival until now as `openai-processing-ms`, and those that KSI itself took as
   * `x-ksi-overhead-ms`, with one decimal: from the arrival until this process saw `run.started`, which includes the
   * wait behind earlier runs, plus the time from the final event until now. In a stream, whose head is sent before the
   * end, it is the first part; where the run has not started, all of the time so far.
   */
  headers(): Record<string, string>;
}

/** Begins now. */
export function startTiming(): Timing {
  const arrivedAt = performance.now();
  let startedAt: number | undefined;
  let endedAt: number | undefined;
  return {
    started() {
      startedAt ??= performance.now();
    },
    ended() {
      endedAt = performance.now();
    },
    headers() {
      const now = performance.now();
      const agentMs = startedAt === undefined ? 0 : (endedAt ?? now) - startedAt;
      return {
        "openai-processing-ms": String(Math.round(now - arrivedAt)),
        "x-ksi-overhead-ms": (now - arrivedAt - agentMs).toFixed(1),
      };
    },
  };
}
