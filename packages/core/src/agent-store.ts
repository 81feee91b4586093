/**
 * What is kept of agents, and who of them is online. Each function is one atomic script (agent-scripts.ts) and rejects
 * with STORE_UNAVAILABLE when Redis is away.
 *
 * An agent is registered (`put`) and thereby online; any sign of life (`see`, `renew`) keeps it online or makes it so
 * again; silence makes it offline (`findSilent`, `turnOffline`); `remove` forgets it.
 */
import { randomUUID } from "node:crypto";
import type { Agent, AgentStatus, RegisterInput } from "@ksi/contract";
import * as scripts from "./agent-scripts.ts";
import type { EventLog } from "./event-log.ts";
import { channels } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

/** An agent must match every given field. */
export interface AgentFilter {
  readonly capability?: string | undefined;
  readonly status?: AgentStatus | undefined;
  readonly profile?: string | undefined;
}

/** Times in milliseconds, by Redis's clock. */
export interface Watch {
  /** The last look; 0 for never. */
  readonly lookedAt: number;
  /** Since when there was no longer pause between looks. */
  readonly since: number;
}

export interface SilentAgent {
  readonly agent_id: string;
  /** As Redis gives the number: to be compared, not computed with. */
  readonly seen: string;
}

export interface AgentStore {
  put(agent: RegisterInput & { capabilities: readonly string[] }): Promise<Agent>;
  /** False when there is no such agent. */
  remove(agentId: string): Promise<boolean>;
  /** A sign of life. False when there is no such agent. */
  see(agentId: string): Promise<boolean>;
  /** A sign of life of those that are online. Gives the others, of which nothing is known. */
  renew(agentIds: readonly string[]): Promise<string[]>;
  /** At most `most` of those that were silent for longer than `silentMs` while one looked, and the watch as it is now. */
  findSilent(watch: Watch, limits: SilenceLimits & { most: number }): Promise<{ watch: Watch; silent: SilentAgent[] }>;
  /** Those that are as they were found. Gives how many: each agent is turned, and told of, by one process only. */
  turnOffline(silent: readonly SilentAgent[], watch: Watch, limits: SilenceLimits): Promise<number>;
  /** The first `most` that match, in the given order. */
  read(agentIds: readonly string[], filter: AgentFilter, most: number): Promise<Agent[]>;
}

export interface SilenceLimits {
  readonly silentMs: number;
  /** A longer pause between two looks ends the watch, and another begins. */
  readonly longestPauseMs: number;
}

export interface AgentStoreOptions {
  store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  log: EventLog;
  tenant?: string | undefined;
}

export function createAgentStore({ store, log, tenant }: AgentStoreOptions): AgentStore {
  const { commands } = store;
  const keys = store.keys.tenant(tenant);
  const firehose = keys.channel(channels.firehose);
  const capabilityPrefix = keys.agentsWith("");

  return {
    async put({ agent_id, profile, capabilities, metadata }) {
      const known = { agent_id, profile, capabilities, metadata };
      const names = [keys.agent(agent_id), keys.agents, keys.onlineAgents, keys.capabilities, keys.epoch, firehose];
      const args = [agent_id, JSON.stringify(known), profile ?? "", capabilityPrefix, log.terms, eventHead(agent_id)];
      const agent = (await scripts.putAgent.run(commands, names, [...args, ...capabilities])) as string;
      return JSON.parse(agent) as Agent;
    },

    async remove(agentId) {
      const { index, letters } = keys.deadLetters(agentId);
      const inbox = [keys.inboxFacts(agentId), keys.inboxReady(agentId), keys.inboxTaken(agentId), index, letters];
      const indexes = [keys.agents, keys.onlineAgents, keys.agentsUsed, keys.capabilities];
      const channel = keys.channel(channels.inbox(agentId));
      const names = [keys.agent(agentId), ...indexes, keys.epoch, firehose, keys.expiringMessages, ...inbox, channel];
      const args = [agentId, capabilityPrefix, log.terms, eventHead(agentId), keys.inboxConsumer(`${agentId}:`)];
      return (await scripts.removeAgent.run(commands, names, args)) === 1;
    },

    async see(agentId) {
      const names = [keys.agent(agentId), keys.onlineAgents, keys.epoch, firehose];
      return (await scripts.seeAgent.run(commands, names, [agentId, log.terms, eventHead(agentId)])) === 1;
    },

    async renew(agentIds) {
      return (await scripts.renewAgents.run(commands, [keys.onlineAgents], agentIds)) as string[];
    },

    async findSilent({ lookedAt, since }, { silentMs, longestPauseMs, most }) {
      const args = [lookedAt, since, silentMs, longestPauseMs, most];
      const answer = await scripts.findSilentAgents.run(commands, [keys.onlineAgents], args);
      const [now, sinceNow, ...flat] = answer as [number, number, ...string[]];
      return { watch: { lookedAt: now, since: sinceNow }, silent: toSilentAgents(flat) };
    },

    async turnOffline(silent, { lookedAt }, { longestPauseMs }) {
      const records = silent.map(({ agent_id }) => keys.agent(agent_id));
      // Nobody said this: it was concluded from silence.
      const each = silent.flatMap(({ agent_id, seen }) => [agent_id, seen, eventHead(agent_id, "ksi")]);
      const names = [keys.onlineAgents, keys.epoch, firehose, ...records];
      const args = [log.terms, lookedAt, longestPauseMs, ...each];
      return (await scripts.turnAgentsOffline.run(commands, names, args)) as number;
    },

    async read(agentIds, { capability = "", status = "", profile = "" }, most) {
      if (agentIds.length === 0) return [];
      const names = [keys.onlineAgents, keys.agentsWith(capability), ...agentIds.map((id) => keys.agent(id))];
      const args = [most, status, capability, profile, ...agentIds];
      const found = (await scripts.readAgents.run(commands, names, args)) as [string, AgentStatus, string][];
      return found.map(([agent, agentStatus, seen]) => decodeAgent(agent, agentStatus, seen));
    },
  };
}

/** An event about an agent, to which the script adds type and payload. */
function eventHead(agent_id: string, source = agent_id): string {
  return JSON.stringify({ id: randomUUID(), timestamp: new Date().toISOString(), source, agent_id });
}

function toSilentAgents(flat: readonly string[]): SilentAgent[] {
  const silent: SilentAgent[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) silent.push({ agent_id: flat[i] ?? "", seen: flat[i + 1] ?? "" });
  return silent;
}

function decodeAgent(json: string, status: AgentStatus, seen: string): Agent {
  const agent = JSON.parse(json) as Omit<Agent, "status" | "last_seen">;
  // One that was registered before there was presence has never been seen but then.
  const last_seen = seen === "" ? agent.registered_at : new Date(Number(seen)).toISOString();
  return { ...agent, status, last_seen };
}
