/** The events that KSI itself writes, as a closed union narrowed by `event_type`, and the open rest. */
import { z } from "zod";
import { agent } from "./schemas/agents.ts";
import { agentId, payload, runId, sessionId, timestamp } from "./schemas/common.ts";
import { deathReasons, message, messageType } from "./schemas/messages.ts";
import { usage, wireError } from "./schemas/runs.ts";
import { stateRef } from "./schemas/state.ts";

const header = {
  /** Immutable and unique; copies of one event in several channels share it. */
  id: z.string(),
  /** Who caused it: an agent, a user, or `ksi`. */
  source: z.string(),
  timestamp,
};

const ofRun = { ...header, run_id: runId, session_id: sessionId, agent_id: agentId.optional() };
const ofAgent = { ...header, agent_id: agentId };

/** Everything of one run, in the channel `runs:{run_id}`. The last one is always one of the four finals. */
export const runEvent = z.discriminatedUnion("event_type", [
  z.object({
    ...ofRun,
    event_type: z.literal("run.queued"),
    payload: z.object({ model: z.string(), priority: z.number() }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.started"),
    /** `attempt` counts from 1; 2 and more follow a worker that died before the agent had the prompt. */
    payload: z.object({ model: z.string(), runner: z.string(), worker_id: z.string(), attempt: z.number().int() }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.requeued"),
    payload: z.object({ reason: z.string() }),
  }),
  z.object({ ...ofRun, event_type: z.literal("run.text"), payload: z.object({ text: z.string() }) }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.retracted"),
    /**
     * The last `chars` characters (UTF-16 code units) of this run's text so far are void: the provider broke off, and
     * the agent says it anew.
     */
    payload: z.object({ chars: z.number().int().positive() }),
  }),
  z.object({ ...ofRun, event_type: z.literal("run.thinking"), payload: z.object({ text: z.string() }) }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.tool_use"),
    /**
     * `input` is without keys called `__proto__`, `constructor` or `prototype`, and null where it was nested more than 100
     * levels deep; `is_truncated` says so.
     */
    payload: z.object({
      tool_use_id: z.string(),
      name: z.string(),
      input: z.json(),
      is_truncated: z.boolean().optional(),
    }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.tool_result"),
    /** `content` is cut at 32,000 characters; `is_truncated` says so. */
    payload: z.object({
      tool_use_id: z.string(),
      is_error: z.boolean(),
      content: z.string(),
      is_truncated: z.boolean().optional(),
    }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.retrying"),
    /** The agent is trying the provider again. `status` is the provider's HTTP status. */
    payload: z.object({ attempt: z.number().int(), delay_ms: z.number(), status: z.number().int().optional() }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.permission_denied"),
    payload: z.object({ tool_name: z.string(), reason: z.string().optional() }),
  }),
  z.object({
    ...ofRun,
    event_type: z.literal("run.completed"),
    payload: z.object({
      result: z.string(),
      output: z.json().optional(),
      model: z.string(),
      usage: usage.optional(),
      cost_usd: z.number().optional(),
      duration_ms: z.number(),
      num_turns: z.number().int().optional(),
      stop_reason: z.string().optional(),
    }),
  }),
  z.object({ ...ofRun, event_type: z.literal("run.failed"), payload: z.object({ error: wireError }) }),
  z.object({ ...ofRun, event_type: z.literal("run.cancelled"), payload: z.object({ error: wireError }) }),
  z.object({ ...ofRun, event_type: z.literal("run.timed_out"), payload: z.object({ error: wireError }) }),
]);

/** `agent.updated` is also the change from `online` to `offline` and back. */
export const agentEvent = z.discriminatedUnion("event_type", [
  z.object({ ...ofAgent, event_type: z.literal("agent.joined"), payload: agent }),
  z.object({ ...ofAgent, event_type: z.literal("agent.updated"), payload: agent }),
  z.object({ ...ofAgent, event_type: z.literal("agent.left"), payload: z.object({}) }),
]);

export const sessionEvent = z.object({
  ...header,
  event_type: z.literal("session.deleted"),
  session_id: sessionId,
  payload: z.object({}),
});

const ofInbox = { ...ofAgent, target: agentId };
const receipt = { message_id: z.string(), correlation_id: z.string().optional() };

/**
 * Receipts say what became of a message in the inbox of `agent_id`; `target` is who sent it. `message.blocked` is about
 * one that was refused.
 */
export const messageEvent = z.discriminatedUnion("event_type", [
  z.object({
    ...ofInbox,
    event_type: z.literal("message.delivered"),
    /** For the first time to a consumer. */
    payload: z.object(receipt),
  }),
  z.object({ ...ofInbox, event_type: z.literal("message.acked"), payload: z.object(receipt) }),
  z.object({ ...ofInbox, event_type: z.literal("message.expired"), payload: z.object(receipt) }),
  z.object({
    ...ofInbox,
    event_type: z.literal("message.dead"),
    payload: z.object({ ...receipt, reason: z.enum(deathReasons), deliveries: z.number().int() }),
  }),
  z.object({ ...ofInbox, event_type: z.literal("message.redriven"), payload: z.object(receipt) }),
  z.object({
    ...header,
    event_type: z.literal("message.blocked"),
    target: agentId.optional(),
    /**
     * The loop guard refused a message from `source` to `target`: for its hops, or since the two have sent each other
     * `limit` messages within a minute (told once a minute then).
     */
    payload: z.object({ reason: z.enum(["hops", "rate"]), limit: z.number().int() }),
  }),
]);

/** A change of the shared state, without its value. */
export const stateEvent = z.discriminatedUnion("event_type", [
  z.object({
    ...header,
    event_type: z.literal("state.set"),
    payload: z.object({ ...stateRef.shape, version: z.number().int() }),
  }),
  z.object({
    ...header,
    event_type: z.literal("state.deleted"),
    /** `version` is the last that the key had before. */
    payload: z.object({ ...stateRef.shape, version: z.number().int(), reason: z.enum(["deleted", "expired"]) }),
  }),
]);

/** What others publish. The name is theirs and starts with `x.`. */
const publishedType = z.templateLiteral(["x.", z.string()]);

/**
 * A published event, or a message on its way over the firehose.
 *
 * The type says `x.…` so that a check of `event_type` narrows the union; a message may carry any name that is not
 * one of ours (`DIRECT_MESSAGE`, say), which the schema accepts.
 */
export const customEvent = z.object({
  ...header,
  event_type: messageType as unknown as typeof publishedType,
  target: agentId.optional(),
  run_id: runId.optional(),
  session_id: sessionId.optional(),
  agent_id: agentId.optional(),
  /** Of a message. */
  ...message.pick({
    capability: true,
    correlation_id: true,
    in_reply_to: true,
    error: true,
    reply_to: true,
    expires_at: true,
    hops: true,
  }).shape,
  payload: z.json(),
});

/** Any event of the firehose. */
export const event = z.union([runEvent, agentEvent, sessionEvent, messageEvent, stateEvent, customEvent]);

export const publishInput = z.object({
  source: agentId,
  event_type: z
    .string()
    .regex(/^x\.[A-Za-z0-9_.:-]{1,126}$/, "must start with x. and then hold 1 to 126 letters, digits or _ . : -"),
  run_id: runId.optional(),
  session_id: sessionId.optional(),
  agent_id: agentId.optional(),
  payload,
});
export const published = z.object({ status: z.literal("published"), id: z.string() });

/** Keeps only events that match every given field. `types` are names or prefixes that end in `*` (`run.*`). */
export const eventFilter = z.object({
  types: z
    .array(z.string().regex(/^(?:[A-Za-z][A-Za-z0-9_.:-]{0,127}\*?|\*)$/, "must be a name, or its beginning and a *"))
    .max(50)
    .optional(),
  session_id: sessionId.optional(),
  run_id: runId.optional(),
  agent_id: agentId.optional(),
  source: agentId.optional(),
  /** Only messages to this agent, and receipts for messages from it. */
  target: agentId.optional(),
});

export type RunEvent = z.infer<typeof runEvent>;
export type AgentEvent = z.infer<typeof agentEvent>;
export type MessageEvent = z.infer<typeof messageEvent>;
export type StateEvent = z.infer<typeof stateEvent>;
export type SessionEvent = z.infer<typeof sessionEvent>;
export type CustomEvent = z.infer<typeof customEvent>;
export type KsiEvent = z.infer<typeof event>;
export type PublishInput = z.infer<typeof publishInput>;
export type Published = z.infer<typeof published>;
export type EventFilter = z.infer<typeof eventFilter>;

const finalEventTypes = ["run.completed", "run.failed", "run.cancelled", "run.timed_out"] as const;

/** One of the four events after which a run says nothing more. */
export type FinalRunEvent = Extract<RunEvent, { event_type: (typeof finalEventTypes)[number] }>;

export function isFinalRunEvent(candidate: { event_type: string }): candidate is FinalRunEvent {
  return (finalEventTypes as readonly string[]).includes(candidate.event_type);
}
