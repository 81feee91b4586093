import type { Agent, KsiEvent } from "@ksi/contract";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAgentStore } from "./agent-store.ts";
import { createAgents } from "./agents.ts";
import { createSweep } from "./presence-sweep.ts";
import { channels } from "./redis/keys.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const agentIds = ["al", "bob", "cy", "dee"];
const capabilities = ["ts", "rust", "go"];
const agent_id = fc.constantFrom(...agentIds);

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("register" as const),
      agent_id,
      capabilities: fc.option(fc.array(fc.constantFrom(...capabilities), { maxLength: 4 }), { nil: undefined }),
      profile: fc.option(fc.constantFrom("coder", "critic"), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("unregister" as const), agent_id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("heartbeat" as const), agent_id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("renew" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("sweep" as const) }) },
);

test("whatever happens, in order or at once, the indexes and the events say what the records say", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 15 }), async (rounds) => {
      await using fresh = startFreshLog(redis.store);
      const options = { store: redis.store, log: fresh.log, tenant: fresh.tenant };
      const ports = createAgents(options);
      const agents = createAgentStore(options);
      // To it, any silence is too long.
      const sweep = createSweep({ agents, silentMs: 0, longestPauseMs: 60_000 });

      const take = async (what: (typeof rounds)[number][number]) => {
        if (what.do === "register") await ports.register(what);
        else if (what.do === "renew") await agents.renew(agentIds);
        else if (what.do === "sweep") await sweep();
        // Not registered, perhaps.
        else await ports[what.do](what.agent_id).catch(() => undefined);
      };
      for (const round of rounds) {
        await Promise.all(round.map(take));
        const shown = (await ports.list({ limit: 10 })).agents;
        expect(await readIndexes(fresh)).toEqual(indexesOf(shown));
        expect(await replayEvents(fresh)).toEqual(shown.map(({ last_seen: _, ...agent }) => agent));
      }
    }),
    { seed: 20_261_123, numRuns: 150 },
  );
});

interface Indexes {
  agents: string[];
  online: string[];
  /** Whose record says when they were last seen. */
  offline: string[];
  able: Record<string, string[]>;
  counts: Record<string, string>;
}

async function readIndexes({ keys }: FreshLog): Promise<Indexes> {
  const { commands } = redis.store;
  const able: Record<string, string[]> = {};
  for (const capability of capabilities)
    able[capability] = (await commands.smembers(keys.agentsWith(capability))).sort();
  const agents = await commands.zrange(keys.agents, "0", "-1");
  const seen = await Promise.all(agentIds.map((id) => commands.hexists(keys.agent(id), "last_seen")));
  return {
    agents,
    offline: agentIds.filter((_, i) => seen[i] === 1),
    online: (await commands.zrange(keys.onlineAgents, "0", "-1")).sort(),
    able,
    counts: await commands.hgetall(keys.capabilities),
  };
}

function indexesOf(shown: readonly Agent[]): Indexes {
  const idsOf = (those: readonly Agent[]) => those.map(({ agent_id }) => agent_id);
  const able = Object.fromEntries(
    capabilities.map((name) => [name, idsOf(shown.filter((agent) => agent.capabilities.includes(name)))]),
  );
  const counts = Object.entries(able).flatMap(([name, { length }]) => (length > 0 ? [[name, String(length)]] : []));
  return {
    agents: idsOf(shown),
    online: idsOf(shown.filter(({ status }) => status === "online")),
    offline: idsOf(shown.filter(({ status }) => status === "offline")),
    able,
    counts: Object.fromEntries(counts),
  };
}

/** What somebody who only listens knows of the agents; `last_seen` goes on without an event. */
async function replayEvents({ log }: FreshLog): Promise<Omit<Agent, "last_seen">[]> {
  const { entries } = await log.page<KsiEvent>(channels.firehose, { limit: 1_000 });
  const known = new Map<string, Omit<Agent, "last_seen">>();
  for (const { event } of entries) {
    if (event.event_type === "agent.left") {
      expect(known.delete(event.agent_id)).toBe(true);
    } else if (event.event_type === "agent.joined" || event.event_type === "agent.updated") {
      expect(known.has(event.agent_id)).toBe(event.event_type === "agent.updated");
      const { last_seen: _, ...agent } = event.payload;
      known.set(event.agent_id, agent);
    }
  }
  return [...known.values()].sort((a, b) => (a.agent_id < b.agent_id ? -1 : 1));
}
