import type { AgentsPort } from "@ksi/contract";
import { listAgents } from "./agent-list.ts";
import { unknownAgent } from "./agent-not-found.ts";
import { createAgentStore } from "./agent-store.ts";
import type { EventLog } from "./event-log.ts";
import { defaultMessaging, type Messaging } from "./messaging.ts";
import type { Store } from "./redis/store.ts";

export interface AgentsOptions {
  store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  log: EventLog;
  tenant?: string | undefined;
  /** Default: `defaultMessaging`. */
  messaging?: Pick<Messaging, "agentOfflineAfterMs"> | undefined;
  /** What agents of a profile can do that do not say so themselves; undefined where there is no such profile. */
  profileCapabilities?: ((name: string) => Promise<readonly string[] | undefined>) | undefined;
}

/**
 * The registry of agents. A change and its event (`agent.joined`, `agent.updated`, `agent.left`) are one step.
 * `get`, `unregister` and `heartbeat` reject with NOT_FOUND for an agent that is not registered, everything with
 * STORE_UNAVAILABLE when Redis is away. Registering again with the same input is safe, and tells an update.
 */
export function createAgents(options: AgentsOptions): AgentsPort {
  const { store, tenant, profileCapabilities } = options;
  const { agentOfflineAfterMs } = options.messaging ?? defaultMessaging;
  const agents = createAgentStore(options);
  const registry = { redis: store.commands, keys: store.keys.tenant(tenant) };

  return {
    async register(input) {
      const capabilities = input.capabilities ?? (await capabilitiesOf(input.profile));
      const agent = await agents.put({ ...input, capabilities: [...new Set(capabilities)] });
      return { status: "registered", agent };
    },

    async unregister(agentId) {
      if (!(await agents.remove(agentId))) throw await unknownAgent(registry, agentId);
      return { status: "unregistered", agent_id: agentId };
    },

    async get(agentId) {
      const [agent] = await agents.read([agentId], {}, 1);
      if (!agent) throw await unknownAgent(registry, agentId);
      return agent;
    },

    list: (input) => listAgents({ ...registry, agents }, input),

    async heartbeat(agentId) {
      if (!(await agents.see(agentId))) throw await unknownAgent(registry, agentId);
      return { status: "online", agent_id: agentId, offline_after_ms: agentOfflineAfterMs };
    },
  };

  async function capabilitiesOf(profile: string | undefined): Promise<readonly string[]> {
    if (profile === undefined) return [];
    return (await profileCapabilities?.(profile)) ?? [];
  }
}
