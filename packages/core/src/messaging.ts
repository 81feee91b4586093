/** What is allowed between agents, the same for all processes on one Redis. */
export interface Messaging {
  /** An agent without a sign of life for so long is offline. */
  readonly agentOfflineAfterMs: number;
  /** Unacknowledged messages that one inbox holds. */
  readonly maxInboxMessages: number;
  /** How often a message is delivered that nobody acknowledges. */
  readonly maxDeliveries: number;
  /** How long a consumer of a shared inbox may take to acknowledge a message. */
  readonly ackTimeoutMs: number;
  /** Through how many hands a message may pass. */
  readonly maxHops: number;
  /** Messages that two agents may send each other within a minute; 0 for any number. */
  readonly maxMessagesPerMinute: number;
}

export const defaultMessaging: Messaging = {
  agentOfflineAfterMs: 30_000,
  maxInboxMessages: 10_000,
  maxDeliveries: 10,
  ackTimeoutMs: 600_000,
  maxHops: 32,
  maxMessagesPerMinute: 6_000,
};
