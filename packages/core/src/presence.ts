/** Who is online. */
export interface Presence {
  /** The agent is online as long as this is not ended, and for `agentOfflineAfterMs` after it. */
  connect(agentId: string): { end(): void };
}
