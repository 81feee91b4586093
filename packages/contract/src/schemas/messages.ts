import { z } from "zod";
import { agentId, cursor, page, payload, timestamp } from "./common.ts";

/** Not one of the names that only KSI itself may give to events. */
const unreserved = /^(?!(?:run|agent|session|message|state|system|usage|key|profile|log)\.)/;

/** What a sender calls its message: up to 128 characters, not one of KSI's own families such as `run.` or `agent.`. */
export const messageType = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,127}$/, "must be 1 to 128 letters, digits or _ . : - and start with a letter")
  .regex(unreserved, "is reserved for KSI's own events; choose another name such as x.greeting");

export const sendInput = z.object({
  /** Who sends: an agent's id or any name that says where it comes from. */
  source: agentId,
  /** Who receives. Without it the message is a broadcast to every registered agent but the source. */
  target: agentId.optional(),
  event_type: messageType,
  payload,
});

/** A message as inboxes and history deliver it: the four fields of the sender, and KSI's id and time. */
export const message = z.object({
  id: z.string(),
  source: agentId,
  target: agentId.optional(),
  event_type: z.string(),
  payload: z.json(),
  timestamp,
});

export const sent = z.object({
  status: z.literal("sent"),
  id: z.string(),
  /** How many inboxes it went into. */
  recipients: z.number().int(),
});

export const historyInput = page.extend({
  after: cursor.optional(),
  /** Only messages that this agent sent or was sent directly. */
  agent_id: agentId.optional(),
});
/** Oldest first. `next` is present as long as there may be more. */
export const messagesPage = z.object({ messages: z.array(message), next: cursor.optional() });

export type SendInput = z.infer<typeof sendInput>;
export type Message = z.infer<typeof message>;
export type Sent = z.infer<typeof sent>;
export type HistoryInput = z.infer<typeof historyInput>;
export type MessagesPage = z.infer<typeof messagesPage>;
