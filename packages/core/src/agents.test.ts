import type { AgentsPort, KsiEvent } from "@ksi/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAgents } from "./agents.ts";
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

test("registering tells the firehose that an agent joined, and again that it was updated", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  const { agent: first } = await agents.register({
    agent_id: "bob",
    profile: "coder",
    capabilities: ["ts"],
    metadata: { a: [] },
  });
  expect(await agents.get("bob")).toEqual(first);
  expect(first).toMatchObject({ agent_id: "bob", profile: "coder", capabilities: ["ts"], metadata: { a: [] } });

  const { status, agent: second } = await agents.register({ agent_id: "bob", capabilities: [] });
  expect(status).toBe("registered");
  expect(second).toEqual({
    agent_id: "bob",
    capabilities: [],
    registered_at: first.registered_at,
    updated_at: expect.any(String),
  });
  expect(await agents.get("bob")).toEqual(second);
  expect(await readFirehose(fresh)).toMatchObject([
    { event_type: "agent.joined", agent_id: "bob", source: "bob", payload: first },
    { event_type: "agent.updated", agent_id: "bob", source: "bob", payload: second },
  ]);
});

test("registrations of one agent at the same moment join once and update for the rest", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  const all = await Promise.all(
    ["a", "b", "c", "d"].map((profile) => agents.register({ agent_id: "bob", profile, capabilities: [] })),
  );
  expect(new Set(all.map(({ agent }) => agent.registered_at)).size).toBe(1);
  const events = await readFirehose(fresh);
  expect(events.map(({ event_type }) => event_type)).toEqual(["agent.joined", ...Array(3).fill("agent.updated")]);
  expect(await agents.get("bob")).toEqual(events.at(-1)?.payload);
});

test("unregistering removes the agent with its inbox and tells that it left", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await agents.register({ agent_id: "bob", capabilities: [] });
  await fresh.log.append({ event: { n: 1 }, channels: [channels.inbox("bob")] });
  expect(await agents.unregister("bob")).toEqual({ status: "unregistered", agent_id: "bob" });
  expect(await redis.store.commands.exists(fresh.keys.channel(channels.inbox("bob")))).toBe(0);
  expect(await agents.list({ limit: 10 })).toEqual({ agents: [] });
  expect((await readFirehose(fresh)).at(-1)).toMatchObject({ event_type: "agent.left", agent_id: "bob", payload: {} });
});

test("an agent that is not registered is NOT_FOUND, and nothing is told", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await expect(agents.get("bob")).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("bob") });
  await expect(agents.unregister("bob")).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await readFirehose(fresh)).toEqual([]);
});

test("agents are listed in order of their ids, in pages", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  for (const agent_id of ["d", "B", "a.2", "c", "a-1"]) await agents.register({ agent_id, capabilities: [] });
  const pages: string[][] = [];
  let after: string | undefined;
  do {
    const page = await agents.list({ limit: 2, after });
    pages.push(page.agents.map(({ agent_id }) => agent_id));
    after = page.next;
  } while (after !== undefined);
  expect(pages).toEqual([["B", "a-1"], ["a.2", "c"], ["d"]]);
  expect((await agents.list({ limit: 5 })).next).toBeUndefined();
});

test("tenants do not see each other's agents", async () => {
  await using mine = startFreshLog(redis.store);
  await using theirs = startFreshLog(redis.store);
  await openAgents(mine).register({ agent_id: "bob", capabilities: [] });
  await expect(openAgents(theirs).get("bob")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

function openAgents({ log, tenant }: FreshLog): AgentsPort {
  return createAgents({ store: redis.store, log, tenant });
}

async function readFirehose({ log }: FreshLog): Promise<KsiEvent[]> {
  const { entries } = await log.page<KsiEvent>(channels.firehose, { limit: 500 });
  return entries.map(({ event }) => event);
}
