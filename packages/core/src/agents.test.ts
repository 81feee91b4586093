import { type AgentsListInput, type AgentsPort, type KsiEvent, schemas } from "@ksi/contract";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type AgentsOptions, createAgents } from "./agents.ts";
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
  expect(schemas.agent.parse(first)).toEqual(first);

  const { status, agent: second } = await agents.register({ agent_id: "bob" });
  expect(status).toBe("registered");
  expect(second).toEqual({
    agent_id: "bob",
    capabilities: [],
    status: "online",
    last_seen: second.updated_at,
    registered_at: first.registered_at,
    updated_at: expect.any(String),
  });
  expect(await agents.get("bob")).toEqual(second);
  expect(await readFirehose(fresh)).toMatchObject([
    { event_type: "agent.joined", agent_id: "bob", source: "bob", payload: first },
    { event_type: "agent.updated", agent_id: "bob", source: "bob", payload: second },
  ]);
});

test("what a sender calls its agent and says of it comes back letter by letter", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  const odd = {
    agent_id: "a.b@c",
    profile: '"}',
    capabilities: ["ts", "a:b", "{x}", "日本", "\\"],
    metadata: { '"': ["\u0000", "}", 1e21, { last_seen: "no" }], status: null },
  };
  const { agent } = await agents.register(odd);
  expect(agent).toMatchObject(odd);
  expect(await agents.get("a.b@c")).toEqual(agent);
  for (const capability of odd.capabilities) expect(await idsOf(agents, { capability })).toEqual(["a.b@c"]);
  expect(await idsOf(agents, { profile: odd.profile })).toEqual(["a.b@c"]);
  expect((await readFirehose(fresh))[0]?.payload).toEqual(agent);
});

test("an agent that does not say what it can do has the capabilities of its profile", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh, { profileCapabilities: async (name) => (name === "coder" ? ["ts"] : undefined) });
  const register = async (input: { profile?: string; capabilities?: string[] }) =>
    (await agents.register({ agent_id: "bob", ...input })).agent.capabilities;
  expect(await register({ profile: "coder" })).toEqual(["ts"]);
  expect(await register({ profile: "coder", capabilities: ["rust"] })).toEqual(["rust"]);
  expect(await register({ profile: "coder", capabilities: [] })).toEqual([]);
  expect(await register({ profile: "no profile" })).toEqual([]);
  expect(await register({})).toEqual([]);
});

test("an agent that registers again is no longer found by what it could do before", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await agents.register({ agent_id: "al", capabilities: ["ts"] });
  await agents.register({ agent_id: "bob", capabilities: ["ts", "rust", "rust"] });
  expect(await capabilityCounts(fresh)).toEqual({ ts: "2", rust: "1" });
  const { agent } = await agents.register({ agent_id: "bob", capabilities: ["go", "go"] });
  expect(agent.capabilities).toEqual(["go"]);
  expect(await idsOf(agents, { capability: "ts" })).toEqual(["al"]);
  expect(await idsOf(agents, { capability: "rust" })).toEqual([]);
  expect(await idsOf(agents, { capability: "go" })).toEqual(["bob"]);
  expect(await capabilityCounts(fresh)).toEqual({ ts: "1", go: "1" });
});

test("registrations of one agent at the same moment join once and update for the rest", async () => {
  await using fresh = startFreshLog(redis.store);
  await using other = startFreshLog(redis.store, { tenant: fresh.tenant });
  const ports = [openAgents(fresh), openAgents(other)];
  const all = await Promise.all(
    Array.from({ length: 50 }, (_, i) => {
      const input = { agent_id: "bob", profile: `p${i}`, capabilities: [`c${i}`] };
      return (ports[i % 2] as AgentsPort).register(input);
    }),
  );
  expect(new Set(all.map(({ agent }) => agent.registered_at)).size).toBe(1);
  const events = await readFirehose(fresh);
  expect(events.map(({ event_type }) => event_type)).toEqual(["agent.joined", ...Array(49).fill("agent.updated")]);
  const last = await openAgents(fresh).get("bob");
  expect(last).toEqual(events.at(-1)?.payload);
  expect(await capabilityCounts(fresh)).toEqual({ [last.capabilities[0] ?? ""]: "1" });
});

test("unregistering removes the agent with its inbox and tells that it left", async () => {
  await using fresh = startFreshLog(redis.store);
  const { commands } = redis.store;
  const { keys } = fresh;
  const agents = openAgents(fresh);
  await agents.register({ agent_id: "bob", capabilities: ["ts"] });
  await fresh.log.append({ event: { n: 1 }, channels: [channels.inbox("bob")] });
  const { index, letters } = keys.deadLetters("bob");
  for (const key of [keys.inboxReady("bob"), keys.inboxTaken("bob"), index]) await commands.zadd(key, 1, "id");
  for (const key of [keys.inboxFacts("bob"), letters]) await commands.hset(key, "id", "{}");
  await commands.zadd(keys.agentsUsed, 1, "bob");

  expect(await agents.unregister("bob")).toEqual({ status: "unregistered", agent_id: "bob" });
  expect(await agents.list({ limit: 10 })).toEqual({ agents: [] });
  expect((await readFirehose(fresh)).at(-1)).toMatchObject({ event_type: "agent.left", agent_id: "bob", payload: {} });
  const left = await commands.keys(keys.channel("*"));
  const ofTheLog = left.filter((key) => !key.includes("appender"));
  expect(ofTheLog.sort()).toEqual([keys.epoch, keys.channel(channels.firehose)].sort());
});

test("an agent that is not registered is NOT_FOUND, and nothing is told", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await expect(agents.get("bob")).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("bob") });
  await expect(agents.unregister("bob")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(agents.heartbeat("bob")).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await readFirehose(fresh)).toEqual([]);
  expect(await redis.store.commands.exists(fresh.keys.agent("bob"), fresh.keys.onlineAgents)).toBe(0);
});

test("a heartbeat is a sign of life that says how long it counts, and is told only where the agent was offline", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh, { messaging: { agentOfflineAfterMs: 12_345 } });
  const { agent } = await agents.register({ agent_id: "bob" });
  await turnOffline(fresh, "bob");
  expect(await agents.get("bob")).toEqual({ ...agent, status: "offline", last_seen: "1970-01-01T00:00:01.000Z" });

  const answer = { status: "online", agent_id: "bob", offline_after_ms: 12_345 };
  expect(await agents.heartbeat("bob")).toEqual(answer);
  const { payload } = (await readFirehose(fresh)).at(-1) ?? {};
  expect(payload).toMatchObject({ ...agent, status: "online", last_seen: expect.stringMatching(/^2/) });
  expect(await agents.get("bob")).toEqual(payload);
  await agents.heartbeat("bob");
  expect((await readFirehose(fresh)).map(({ event_type }) => event_type)).toEqual(["agent.joined", "agent.updated"]);
});

test("the last sign of life is told by the clock of Redis, whatever that of the process says", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  vi.useFakeTimers({ now: 0, toFake: ["Date"] });
  const { agent } = await agents.register({ agent_id: "bob" }).finally(() => vi.useRealTimers());
  const [seconds] = await redis.store.commands.time();
  for (const time of [agent.last_seen, agent.registered_at, agent.updated_at]) {
    expect(Math.abs(Date.parse(time) / 1_000 - Number(seconds))).toBeLessThan(10);
  }
});

test("an agent that an older KSI registered is offline since then, and can be used like any other", async () => {
  await using fresh = startFreshLog(redis.store);
  const { commands } = redis.store;
  const agents = openAgents(fresh);
  const registered_at = "2026-11-20T10:00:00.000Z";
  const old = { agent_id: "bob", capabilities: ["ts"], registered_at, updated_at: "2026-11-20T11:00:00.000Z" };
  await commands.hset(fresh.keys.agent("bob"), { registered_at, agent: JSON.stringify(old) });
  await commands.zadd(fresh.keys.agents, 0, "bob");
  expect((await agents.list({ limit: 1 })).agents).toEqual([{ ...old, status: "offline", last_seen: registered_at }]);
  await agents.heartbeat("bob");
  expect(await agents.get("bob")).toMatchObject({ ...old, status: "online" });
  expect((await agents.register({ agent_id: "bob", capabilities: [] })).agent).toMatchObject({ registered_at });
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

/** 2,200: all have `all`, one in 50 `some`, one in 1,000 `rare`; one in 3 is offline, one in 7 a coder. */
const crowd = Array.from({ length: 2_200 }, (_, i) => ({
  agent_id: `agent-${String(i).padStart(4, "0")}`,
  profile: i % 7 === 0 ? "coder" : "other",
  capabilities: ["all", ...(i % 50 === 0 ? ["some"] : []), ...(i % 1_000 === 999 ? ["rare"] : [])],
  status: i % 3 === 0 ? "offline" : "online",
}));

test("among 2,000 agents each filter fills its pages with all that match, in order", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await Promise.all(crowd.map(({ status: _, ...input }) => agents.register(input)));
  const offline = crowd.filter(({ status }) => status === "offline").map(({ agent_id }) => agent_id);
  await turnOffline(fresh, ...offline);

  for (const capability of [undefined, "all", "some", "rare", "none"]) {
    for (const status of [undefined, "online", "offline"] as const) {
      for (const profile of [undefined, "coder", "nobody"]) {
        const expected = crowd.filter(
          (agent) =>
            (capability === undefined || agent.capabilities.includes(capability)) &&
            (status === undefined || agent.status === status) &&
            (profile === undefined || agent.profile === profile),
        );
        const pages = await pagesOf(agents, { limit: 100, capability, status, profile });
        const name = JSON.stringify({ capability, status, profile });
        expect(pages.flat(), name).toEqual(expected.map(({ agent_id }) => agent_id));
        expect(pages.slice(0, -1).every((page) => page.length === 100) && pages.length, name).toBe(
          Math.max(1, Math.ceil(expected.length / 100)),
        );
      }
    }
  }
});

test("a page reads no more than 500 records at a time, and only those of the index where that is short", async () => {
  await using fresh = startFreshLog(redis.store);
  const agents = openAgents(fresh);
  await Promise.all(crowd.map(({ status: _, ...input }) => agents.register(input)));
  using evalsha = vi.spyOn(redis.store.commands, "evalsha");
  const recordsRead = async (input: Partial<AgentsListInput>) => {
    evalsha.mockClear();
    await agents.list({ limit: 10, ...input });
    // The number of keys, of which two are indexes.
    return evalsha.mock.calls.map(([, keys]) => Number(keys) - 2);
  };
  expect(await recordsRead({})).toEqual([11]);
  expect(await recordsRead({ capability: "rare" })).toEqual([2]);
  expect(await recordsRead({ capability: "some", after: "agent-1999" })).toEqual([4]);
  expect(await recordsRead({ capability: "all", profile: "nobody" })).toEqual([500, 500, 500, 500, 200]);
  expect(await recordsRead({ profile: "coder" })).toEqual([500]);
});

test("tenants do not see each other's agents", async () => {
  await using mine = startFreshLog(redis.store);
  await using theirs = startFreshLog(redis.store);
  await openAgents(mine).register({ agent_id: "bob", capabilities: ["ts"] });
  await expect(openAgents(theirs).get("bob")).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await idsOf(openAgents(theirs), { capability: "ts" })).toEqual([]);
});

function openAgents({ log, tenant }: FreshLog, options: Partial<AgentsOptions> = {}): AgentsPort {
  return createAgents({ store: redis.store, log, tenant, ...options });
}

/** As if they had been silent since the second second of 1970. */
async function turnOffline({ keys }: FreshLog, ...agentIds: string[]): Promise<void> {
  await redis.store.commands.zrem(keys.onlineAgents, ...agentIds);
  await Promise.all(agentIds.map((id) => redis.store.commands.hset(keys.agent(id), "last_seen", 1_000)));
}

async function idsOf(agents: AgentsPort, filter: Partial<AgentsListInput>): Promise<string[]> {
  return (await agents.list({ limit: 500, ...filter })).agents.map(({ agent_id }) => agent_id);
}

async function pagesOf(agents: AgentsPort, input: AgentsListInput): Promise<string[][]> {
  const pages: string[][] = [];
  let after: string | undefined;
  do {
    const page = await agents.list({ ...input, after });
    pages.push(page.agents.map(({ agent_id }) => agent_id));
    after = page.next;
  } while (after !== undefined);
  return pages;
}

async function capabilityCounts({ keys }: FreshLog): Promise<Record<string, string>> {
  return await redis.store.commands.hgetall(keys.capabilities);
}

async function readFirehose({ log }: FreshLog): Promise<KsiEvent[]> {
  const { entries } = await log.page<KsiEvent>(channels.firehose, { limit: 500 });
  return entries.map(({ event }) => event);
}
