/** What is said where nobody is registered under a name. */
import { KsiError } from "@ksi/contract/errors";
import { didYouMean } from "@ksi/contract/near-names";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

export interface Registry {
  readonly redis: Store["commands"];
  readonly keys: TenantKeys;
}

/** Names that are looked through for near ones, the first in their order: where there are more, programs choose them. */
const mostNames = 1_000;

/** `NOT_FOUND` where nobody is registered as this. */
export async function mustBeRegistered(registry: Registry, agentId: string): Promise<void> {
  if (!(await registry.redis.exists(registry.keys.agent(agentId)))) throw await unknownAgent(registry, agentId);
}

/** `NOT_FOUND` with near names. They are read only here, so that a call which succeeds pays nothing for them. */
export async function unknownAgent({ redis, keys }: Registry, agentId: string): Promise<KsiError> {
  // The answer is known, with or without advice.
  const names = await redis.zrangebylex(keys.agents, "-", "+", "LIMIT", 0, mostNames).catch(() => []);
  return agentNotFound(agentId, names);
}

/** `NOT_FOUND`, with those of the names that may have been meant. */
export function agentNotFound(agentId: string, names: readonly string[] = []): KsiError {
  const advice = didYouMean(agentId, names) || " Register it first, or look at the list.";
  return new KsiError("NOT_FOUND", `No agent is registered as ${agentId}.${advice}`);
}
