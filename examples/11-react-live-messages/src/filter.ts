import type { LiveMessage } from "./flow.ts";

/** What the page is narrowed down to. Empty: everything. */
export interface Filter {
  readonly agent: string;
  readonly type: string;
}

/** An agent's messages are those that it sent, was sent, or gave a receipt for. */
export function matches({ agent, type }: Filter, message: LiveMessage): boolean {
  if (type && message.event_type !== type) return false;
  if (!agent || message.source === agent || message.target === agent) return true;
  return message.receipts.some(({ agent_id }) => agent_id === agent);
}
