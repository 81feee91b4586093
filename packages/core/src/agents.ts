import type { Agent, AgentsPort, RegisterInput } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { type EventLog, newEvent } from "./event-log.ts";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

export interface AgentsOptions {
  store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  log: EventLog;
  tenant?: string | undefined;
}

/** How often a registration is tried again when another one of the same agent came between. */
const registerTries = 10;

/**
 * The registry of agents. A change and its event (`agent.joined`, `agent.updated`, `agent.left`) are one step.
 * `get` and `unregister` reject with NOT_FOUND for an agent that is not registered, everything with STORE_UNAVAILABLE
 * when Redis is away. Registering again with the same input is safe, and tells an update.
 */
export function createAgents({ store, log, tenant }: AgentsOptions): AgentsPort {
  const { commands } = store;
  const keys = store.keys.tenant(tenant);
  const firehose = keys.channel(channels.firehose);

  return {
    async register(input) {
      for (let i = 0; i < registerTries; i++) {
        const since = await commands.hget(keys.agent(input.agent_id), "registered_at");
        const agent = toAgent(input, since);
        if (await put(agent, since)) return { status: "registered", agent };
      }
      throw new KsiError("CONFLICT", `Others keep registering the agent ${input.agent_id}. Try again.`);
    },

    async unregister(agentId) {
      const event = newEvent({ event_type: "agent.left", source: agentId, agent_id: agentId, payload: {} });
      const names = [keys.agent(agentId), keys.agents, keys.channel(channels.inbox(agentId)), keys.epoch, firehose];
      const args = [agentId, log.terms, JSON.stringify(event)];
      const wasThere = await removeAgent.run(commands, names, args);
      if (!wasThere) throw agentNotFound(agentId);
      return { status: "unregistered", agent_id: agentId };
    },

    async get(agentId) {
      const record = await commands.hget(keys.agent(agentId), "agent");
      if (record === null) throw agentNotFound(agentId);
      return JSON.parse(record) as Agent;
    },

    async heartbeat(agentId) {
      if (!(await commands.exists(keys.agent(agentId)))) throw agentNotFound(agentId);
      return { status: "online", agent_id: agentId, offline_after_ms: 30_000 };
    },

    async list({ after, limit }) {
      const from = after === undefined ? "-" : `(${after}`;
      const ids = await commands.zrangebylex(keys.agents, from, "+", "LIMIT", 0, limit + 1);
      const shown = ids.slice(0, limit);
      const records = await Promise.all(shown.map((id) => commands.hget(keys.agent(id), "agent")));
      const next = ids.length > limit ? shown.at(-1) : undefined;
      return {
        // One that left since its id was read is not there any more.
        agents: records.filter((record) => record !== null).map((record) => JSON.parse(record) as Agent),
        ...(next !== undefined && { next }),
      };
    },
  };

  /** False when the agent was registered or unregistered since `since` was read. */
  async function put(agent: Agent, since: string | null): Promise<boolean> {
    const event = newEvent({
      event_type: since === null ? "agent.joined" : "agent.updated",
      source: agent.agent_id,
      agent_id: agent.agent_id,
      payload: agent,
    });
    const names = [keys.agent(agent.agent_id), keys.agents, keys.epoch, firehose];
    const args = [
      agent.agent_id,
      since ?? "",
      agent.registered_at,
      JSON.stringify(agent),
      log.terms,
      JSON.stringify(event),
    ];
    return (await putAgent.run(commands, names, args)) === 1;
  }
}

export function agentNotFound(agentId: string): KsiError {
  return new KsiError("NOT_FOUND", `No agent is registered as ${agentId}. Register it first, or look at the list.`);
}

/**
 * KEYS: 1 agent, 2 index, 3 epoch, 4 firehose. ARGV: 1 agent_id, 2 registered_at it was seen with (empty for none),
 * 3 registered_at, 4 agent as JSON, 5 terms, 6 event. Returns 1, or 0 when the agent has changed since.
 * Events: the one given (agent.joined or agent.updated).
 */
const putAgent = createLuaScript(`${eventLogLua}
if (redis.call('HGET', KEYS[1], 'registered_at') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'registered_at', ARGV[3], 'agent', ARGV[4])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
local log = ksi_open_log(KEYS[3], ARGV[5])
ksi_append(log, ARGV[6], { KEYS[4] })
ksi_publish(log)
return 1
`);

/**
 * KEYS: 1 agent, 2 index, 3 inbox, 4 epoch, 5 firehose. ARGV: 1 agent_id, 2 terms, 3 event.
 * Returns 1, or 0 when there was no such agent. Events: the one given (agent.left).
 */
const removeAgent = createLuaScript(`${eventLogLua}
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
local log = ksi_open_log(KEYS[4], ARGV[2])
ksi_append(log, ARGV[3], { KEYS[5] })
ksi_publish(log)
return 1
`);

function toAgent(input: RegisterInput, since: string | null): Agent {
  const now = new Date().toISOString();
  return {
    agent_id: input.agent_id,
    ...(input.profile !== undefined && { profile: input.profile }),
    capabilities: input.capabilities ?? [],
    ...(input.metadata !== undefined && { metadata: input.metadata }),
    status: "online",
    last_seen: now,
    registered_at: since ?? now,
    updated_at: now,
  };
}
