import { z } from "zod";
import { agentId, jsonObject, page, timestamp } from "./common.ts";

export const registerInput = z.object({
  agent_id: agentId,
  profile: z.string().min(1).max(128).optional(),
  capabilities: z.array(z.string().min(1).max(100)).max(100).default([]),
  metadata: jsonObject.optional(),
});

export const agent = z.object({
  agent_id: agentId,
  profile: z.string().optional(),
  capabilities: z.array(z.string()),
  metadata: jsonObject.optional(),
  registered_at: timestamp,
  updated_at: timestamp,
});

/** Registering a known id replaces its profile, capabilities and metadata; its inbox stays. */
export const registered = z.object({ status: z.literal("registered"), agent });
export const unregistered = z.object({ status: z.literal("unregistered"), agent_id: agentId });
export const agentRef = z.object({ agent_id: agentId });
export const agentsListInput = page;
/** In order of agent_id. */
export const agentsPage = z.object({ agents: z.array(agent), next: z.string().optional() });

export type Agent = z.infer<typeof agent>;
export type RegisterInput = z.infer<typeof registerInput>;
export type RegisterRequest = z.input<typeof registerInput>;
export type Registered = z.infer<typeof registered>;
export type Unregistered = z.infer<typeof unregistered>;
export type AgentsPage = z.infer<typeof agentsPage>;
