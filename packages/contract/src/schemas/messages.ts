import { z } from "zod";
import { limits } from "../limits.ts";
import { agentRef, capability } from "./agents.ts";
import { agentId, cursor, follow, page, payload, timestamp } from "./common.ts";
import { wireError } from "./runs.ts";

/** Not one of the names that only KSI itself may give to events. */
const unreserved = /^(?!(?:run|agent|session|message|state|system|usage|key|profile|log)\.)/;

/** What a sender calls its message: up to 128 characters, not one of KSI's own families such as `run.` or `agent.`. */
export const messageType = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,127}$/, "must be 1 to 128 letters, digits or _ . : - and start with a letter")
  .regex(unreserved, "is reserved for KSI's own events; choose another name such as x.greeting");

export const messageId = z.uuid("is not the id of a message");

const correlationId = z.string().min(1).max(255);
/** Redis keeps UTF-8, in which all halves of surrogate pairs become the same. */
const whole = /^\P{Cs}*$/u;
const halved = "must not contain half of a surrogate pair";

/** Why the sender of an answer could not do what it was asked for. */
export const agentError = z.object({
  /** For programs: letters, digits and `_ . : -`, 64 at most. */
  code: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/, "must be 1 to 64 letters, digits or _ . : - and start with a letter")
    .optional(),
  /** For people: up to 4,096 characters. */
  message: z.string().max(4_096),
});

const sendFields = z.object({
  /** Who sends: an agent's id or any name that says where it comes from. */
  source: agentId,
  /** The agent that receives it, online or not. */
  target: agentId.optional(),
  /**
   * In place of a target: the online agent that can do this, or of a list the most. Of several such agents it is the one
   * that was last chosen in this way the longest time ago.
   */
  capability: z.union([capability, z.array(capability).min(1).max(20)]).optional(),
  event_type: messageType,
  payload,
  /** Ties messages together; an answer repeats that of what it answers. */
  correlation_id: correlationId.regex(whole, halved).optional(),
  /** The message that this one answers. */
  in_reply_to: messageId.optional(),
  /** The agent that an answer is to be sent to, where it is not the source. */
  reply_to: agentId.optional(),
  /** In an answer: there is no result, and why. A `messages.request` that waits for it is then `AGENT_FAILED`. */
  error: agentError.optional(),
  /** A message that is not acknowledged for so long expires. Default: it is kept as long as the history is. */
  ttl_ms: z.number().int().min(1).max(limits.ttlMsMax).optional(),
  /** How many messages led to this one: the `hops` of the message that it answers or passes on, plus one. */
  hops: z.number().int().min(0).max(1_000_000).optional(),
});

const oneAddress = { error: "must not be given together with target", path: ["capability"] };

/**
 * Goes to `target` or to a `capability`, which exclude each other; without either it is a broadcast to every registered
 * agent but the source.
 */
export const sendInput = sendFields
  .extend({
    /** A repeat with the same key (kept for a day) is answered with the first message; with another body it is a `CONFLICT`. */
    idempotency_key: z.string().min(1).max(255).regex(whole, halved).optional(),
  })
  .refine(({ target, capability }) => target === undefined || capability === undefined, oneAddress);

/** A message as inboxes and history deliver it: the fields of the sender, and KSI's id and time. */
export const message = z.object({
  id: z.string(),
  source: agentId,
  /** Whose inbox it went to, also where the agent was chosen by `capability`. Absent in a broadcast. */
  target: agentId.optional(),
  /** What the agent was chosen by. */
  capability: z.array(z.string()).optional(),
  event_type: z.string(),
  payload: z.json(),
  correlation_id: correlationId.optional(),
  in_reply_to: z.string().optional(),
  reply_to: agentId.optional(),
  /** In an answer that is none: why. */
  error: agentError.optional(),
  /** When it expires, unless it was acknowledged before. */
  expires_at: timestamp.optional(),
  hops: z.number().int().optional(),
  timestamp,
  /** When it was put back into the inbox, where it was a dead letter. */
  redriven_at: timestamp.optional(),
});

export const sent = z.object({
  status: z.literal("sent"),
  /** Of the message. */
  id: z.string(),
  /** The agent that it went to; absent for a broadcast. */
  target: agentId.optional(),
  /** How many inboxes it went into. */
  recipients: z.number().int(),
});

/** Each is sent as if by itself, in this order. */
export const sendBatchInput = z.object({
  /** In the order in which they are to arrive. */
  messages: z
    .array(sendInput)
    .min(1, "must not be empty")
    .max(limits.batchMessages, `must be at most ${limits.batchMessages} messages`),
});

export const sentBatch = z.object({
  /** One for each message, in their order. What was refused can be sent again by itself. */
  results: z.array(
    z.discriminatedUnion("status", [sent, z.object({ status: z.literal("refused"), error: wireError })]),
  ),
});

/** Goes to `target` or to a `capability`: one of the two must be given, and not both. */
export const requestInput = sendFields
  .extend({
    /** How long to wait for the answer. */
    timeout_ms: z.number().int().min(1).max(limits.requestMsMax).default(limits.requestMsDefault),
  })
  .refine(({ target, capability }) => target === undefined || capability === undefined, oneAddress)
  .refine(({ target, capability }) => target !== undefined || capability !== undefined, {
    error: "must be given, or a capability: a request has one receiver",
    path: ["target"],
  });

export const replied = z.object({
  status: z.literal("replied"),
  /** Of the message that was sent. */
  id: z.string(),
  reply: message,
});

export const historyInput = page.extend({
  after: cursor.optional(),
  /** Only messages that this agent sent or was sent directly. */
  agent_id: agentId.optional(),
  /** Only from this source. */
  source: agentId.optional(),
  /** Only to this agent. */
  target: agentId.optional(),
  /** Only of this type; a `*` at the end stands for any rest. */
  event_type: z
    .string()
    .regex(/^(?:[A-Za-z][A-Za-z0-9_.:-]{0,127}\*?|\*)$/, "must be a name, or its beginning and a *")
    .optional(),
  /** Only with this correlation id. */
  correlation_id: correlationId.optional(),
  /** From the newest on backwards, instead of from the oldest on. */
  newest_first: z.boolean().optional(),
});
/** Oldest first unless asked for otherwise. `next` is present as long as there may be more. */
export const messagesPage = z.object({ messages: z.array(message), next: cursor.optional() });

/** How several consumers of one inbox are given its messages; `inboxInput` says what each means. */
export const inboxModes = ["each", "shared"] as const;

/**
 * Without a cursor an inbox begins with what nobody has acknowledged. With `from` it is only looked at: nothing counts as
 * delivered, and the agent is not online by it. A `shared` inbox has one place for all, so neither counts there.
 */
export const inboxInput = z
  .object({
    ...agentRef.shape,
    ...follow.shape,
    /**
     * `each`: this consumer gets every message of the inbox. `shared`: each message goes to one of the consumers that share
     * the inbox, and to another one if that one goes away without acknowledging it.
     */
    mode: z.enum(inboxModes).default("each"),
    /** With `shared`, how many messages this consumer holds at most that it has not acknowledged. */
    prefetch: z.number().int().min(1).max(limits.prefetchMax).default(limits.prefetchDefault),
  })
  .refine(({ mode, from }) => mode !== "shared" || from === undefined, {
    error: "must not be given with mode=shared: whoever shares an inbox takes from it, and cannot only look",
    path: ["from"],
  });

export const ackInput = z.object({
  ...agentRef.shape,
  /** Of messages of this inbox, 500 at most in one call. */
  ids: z.array(messageId).min(1).max(500),
});
export const acked = z.object({
  status: z.literal("acked"),
  /** How many of them were not acknowledged before. */
  acked: z.number().int(),
});

export const nackInput = z.object({
  ...agentRef.shape,
  /** Of messages that a consumer of the shared inbox holds, 500 at most. */
  ids: z.array(messageId).min(1).max(500),
  /** How long nobody is to be given them; about a second more. */
  delay_ms: z.number().int().min(0).max(limits.nackDelayMsMax).default(0),
});
export const nacked = z.object({
  status: z.literal("nacked"),
  /** How many of them a consumer held. */
  nacked: z.number().int(),
});

/** Why a message cannot be delivered any more. */
export const deathReasons = ["max_deliveries", "inbox_full", "overtaken"] as const;

export const deadLetter = z.object({
  message,
  /**
   * `max_deliveries`: it was delivered as often as it may be, and never acknowledged. `inbox_full`: a broadcast found no
   * room. `overtaken`: so many later ones were acknowledged that the inbox could not keep it.
   */
  reason: z.enum(deathReasons),
  /** How often it was delivered. */
  deliveries: z.number().int(),
  died_at: timestamp,
});
export const deadLettersInput = page.extend({ agent_id: agentId });
/** Oldest first. */
export const deadLettersPage = z.object({ dead_letters: z.array(deadLetter), next: z.string().optional() });

export const redriveInput = z.object({
  ...agentRef.shape,
  /** Of dead letters of this inbox. Default: all, of which one call takes the oldest 500. */
  ids: z.array(messageId).min(1).max(500).optional(),
});
export const redriven = z.object({
  status: z.literal("redriven"),
  /** How many are in the inbox again, as new ones at its end, each under its own id. */
  redriven: z.number().int(),
});

export type AgentError = z.infer<typeof agentError>;
export type SendInput = z.infer<typeof sendInput>;
export type RequestInput = z.infer<typeof requestInput>;
export type RequestRequest = z.input<typeof requestInput>;
export type Replied = z.infer<typeof replied>;
export type Message = z.infer<typeof message>;
export type SendBatchInput = z.infer<typeof sendBatchInput>;
export type SentBatch = z.infer<typeof sentBatch>;
export type Sent = z.infer<typeof sent>;
export type HistoryInput = z.infer<typeof historyInput>;
export type MessagesPage = z.infer<typeof messagesPage>;
export type InboxInput = z.infer<typeof inboxInput>;
export type InboxMode = (typeof inboxModes)[number];
export type AckInput = z.infer<typeof ackInput>;
export type NackInput = z.infer<typeof nackInput>;
export type Nacked = z.infer<typeof nacked>;
export type Acked = z.infer<typeof acked>;
export type DeathReason = (typeof deathReasons)[number];
export type DeadLetter = z.infer<typeof deadLetter>;
export type DeadLettersInput = z.infer<typeof deadLettersInput>;
export type DeadLettersPage = z.infer<typeof deadLettersPage>;
export type RedriveInput = z.infer<typeof redriveInput>;
export type Redriven = z.infer<typeof redriven>;
