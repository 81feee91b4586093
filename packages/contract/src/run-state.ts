/** The states of a run, and every step between them that is allowed. */

export const runStatuses = ["queued", "running", "completed", "failed", "cancelled", "timed_out"] as const;
export type RunStatus = (typeof runStatuses)[number];

/**
 * From each state, the states that may follow. `running → queued` happens only when a worker died before it handed
 * the prompt to the agent. `queued → failed` is for a run that no runner can serve; `queued → timed_out` does not
 * exist, since the time limit counts from the start.
 */
export const runTransitions = {
  queued: ["running", "cancelled", "failed"],
  running: ["completed", "failed", "cancelled", "timed_out", "queued"],
  completed: [],
  failed: [],
  cancelled: [],
  timed_out: [],
} as const satisfies Record<RunStatus, readonly RunStatus[]>;

export type FinalRunStatus = "completed" | "failed" | "cancelled" | "timed_out";

/** A final state never changes again. */
export function isFinal(status: RunStatus): status is FinalRunStatus {
  return runTransitions[status].length === 0;
}

export function canTransition(from: RunStatus, to: RunStatus): boolean {
  return (runTransitions[from] as readonly RunStatus[]).includes(to);
}
