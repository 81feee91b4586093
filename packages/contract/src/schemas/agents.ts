import { z } from "zod";
import { agentId, jsonObject, page, timestamp } from "./common.ts";

/**
 * Something that an agent can do. A message can be sent to whoever can do it. Any text of 1 to 100 characters without
 * control characters, compared letter by letter.
 */
export const capability = z
  .string()
  .min(1)
  .max(100)
  // An empty one is refused above, in other words.
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters, or half of a surrogate pair");

export const agentStatuses = ["online", "offline"] as const;

/** `online` while a consumer follows the agent's inbox, and for a while after its last sign of life; else `offline`. */
export const agentStatus = z.enum(agentStatuses);

export const registerInput = z.object({
  agent_id: agentId,
  /** A profile of `profiles.list`, or any name of your own. */
  profile: z.string().min(1).max(128).optional(),
  /** Default: those of the profile, or none. */
  capabilities: z.array(capability).max(100).optional(),
  metadata: jsonObject.optional(),
});

export const agent = z.object({
  agent_id: agentId,
  profile: z.string().optional(),
  capabilities: z.array(z.string()),
  metadata: jsonObject.optional(),
  status: agentStatus,
  /** The last sign of life: a registration, a heartbeat, or a followed inbox. */
  last_seen: timestamp,
  registered_at: timestamp,
  updated_at: timestamp,
});

/** Registering a known id replaces its profile, capabilities and metadata; its inbox stays. A sign of life, too. */
export const registered = z.object({ status: z.literal("registered"), agent });
export const unregistered = z.object({ status: z.literal("unregistered"), agent_id: agentId });
export const agentRef = z.object({ agent_id: agentId });

/** An agent must match every given field. */
export const agentsListInput = page.extend({
  /** Only those that can do this. */
  capability: capability.optional(),
  /** Only those that are online, or offline. */
  status: agentStatus.optional(),
  /** Only those with this profile. */
  profile: z.string().min(1).max(128).optional(),
});
/** In order of agent_id. */
export const agentsPage = z.object({ agents: z.array(agent), next: z.string().optional() });

export const heartbeat = z.object({
  status: z.literal("online"),
  agent_id: agentId,
  /** The agent is offline when it gives no further sign of life for so long. */
  offline_after_ms: z.number().int(),
});

export type Agent = z.infer<typeof agent>;
export type AgentStatus = z.infer<typeof agentStatus>;
export type RegisterInput = z.infer<typeof registerInput>;
export type RegisterRequest = z.input<typeof registerInput>;
export type Registered = z.infer<typeof registered>;
export type Unregistered = z.infer<typeof unregistered>;
export type AgentsListInput = z.infer<typeof agentsListInput>;
export type AgentsPage = z.infer<typeof agentsPage>;
export type Heartbeat = z.infer<typeof heartbeat>;
