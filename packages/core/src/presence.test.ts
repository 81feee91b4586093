import type { KsiEvent } from "@ksi/contract";
import { createTempFolder, until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createAgentStore } from "./agent-store.ts";
import { createAgents } from "./agents.ts";
import type { Logger } from "./logger.ts";
import { type Presence, startPresence } from "./presence.ts";
import { createSweep } from "./presence-sweep.ts";
import { channels } from "./redis/keys.ts";
import { type Store, startStore } from "./redis/store.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";
import { startScriptProcess } from "./testing/start-script-process.ts";
import { startStoppableRedis } from "./testing/stoppable-redis.ts";

const agentOfflineAfterMs = 1_000;
const serverScript = new URL("./testing/presence-process.ts", import.meta.url);

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("an agent is online while either of two processes holds a connection, and offline a silence after the last", async () => {
  await using one = openProcess(redis.store);
  await using two = openProcess(redis.store, one.tenant);
  await register(one, "bob", "witness");
  const first = one.presence.connect("bob");
  const second = two.presence.connect("bob");
  const third = two.presence.connect("bob");
  third.end();
  third.end();
  // The witness falls silent, so there was time for bob to do so.
  await until(async () => (await statusOf(two, "witness")) === "offline");
  first.end();
  expect(await statusOf(one, "bob")).toBe("online");
  await register(one, "witness");
  await until(async () => (await statusOf(two, "witness")) === "offline");
  expect(await statusOf(one, "bob")).toBe("online");

  const endedAt = await redisNow(redis.store);
  second.end();
  await until(async () => (await statusOf(one, "bob")) === "offline");
  expect((await redisNow(redis.store)) - endedAt).toBeGreaterThanOrEqual(agentOfflineAfterMs);
  expect(Date.parse((await one.agents.get("bob")).last_seen)).toBeGreaterThanOrEqual(endedAt);
  expect(await statusesTold(one, "bob")).toEqual(["online", "offline"]);
});

test("the first connection makes an agent that is offline online at once, and says so", async () => {
  await using here = openProcess(redis.store);
  const { agent } = await register(here, "bob");
  await until(async () => (await statusOf(here, "bob")) === "offline");
  here.presence.connect("bob");
  // Behind the sign of life, on the same connection.
  const { last_seen, ...bob } = await here.agents.get("bob");
  expect(bob).toMatchObject({ status: "online", registered_at: agent.registered_at, updated_at: agent.updated_at });
  expect(Date.parse(last_seen)).toBeGreaterThan(Date.parse(agent.last_seen));
  expect(await statusesTold(here, "bob")).toEqual(["online", "offline", "online"]);
});

test("a silence is told once, by KSI, whatever number of processes sweep", async () => {
  await using here = openProcess(redis.store);
  await using others = new AsyncDisposableStack();
  for (let i = 0; i < 5; i++) others.use(openProcess(redis.store, here.tenant));
  const agentIds = Array.from({ length: 250 }, (_, i) => `a-${i}`);
  await register(here, ...agentIds);
  await until(async () => (await here.agents.list({ limit: 1, status: "online" })).agents.length === 0);
  const told = (await readFirehose(here)).filter(({ event_type }) => event_type === "agent.updated");
  expect(told.map(({ agent_id }) => agent_id).sort()).toEqual([...agentIds].sort());
  for (const { source, agent_id, payload } of told) {
    expect({ source, payload }).toEqual({ source: "ksi", payload: await here.agents.get(agent_id) });
  }
});

test("the agents of a server that is killed go offline, and those that another server holds too stay online", async () => {
  await using here = openProcess(redis.store);
  const { agent } = await register(here, "lost", "kept");
  here.presence.connect("kept");
  const args = [redis.url, here.tenant, String(agentOfflineAfterMs), "lost", "kept"];
  await using other = await startScriptProcess(serverScript, args);
  // Longer than one sign of life lasts.
  const held = Date.parse(agent.last_seen) + 2 * agentOfflineAfterMs;
  await until(async () => Date.parse((await here.agents.get("lost")).last_seen) > held);
  expect(await statusOf(here, "lost")).toBe("online");

  other.kill("SIGKILL");
  await until(async () => (await statusOf(here, "lost")) === "offline");
  expect(await statusOf(here, "kept")).toBe("online");
  expect(await statusesTold(here, "kept")).toEqual(["online"]);
});

test("all connected agents of a process are renewed with one call", async () => {
  await using here = openProcess(redis.store);
  const agentIds = Array.from({ length: 300 }, (_, i) => `a-${i}`);
  await register(here, ...agentIds);
  for (const agentId of agentIds) here.presence.connect(agentId);
  using evalsha = vi.spyOn(redis.store.commands, "evalsha");
  const before = await signsOf(here);
  const calls = () => evalsha.mock.calls.filter((call) => agentIds.some((id) => call.includes(id)));
  const renewals = await until(() => calls().length > 0 && calls());
  await until(async () => Math.min(...(await signsOf(here))) > Math.max(...before));
  for (const call of renewals) expect(call).toEqual(expect.arrayContaining(agentIds));
});

test("an agent that is unregistered while it is connected stays so, and is renewed again when it registers anew", async () => {
  await using here = openProcess(redis.store);
  const { commands } = redis.store;
  await register(here, "bob", "witness");
  const connection = here.presence.connect("bob");
  await here.agents.unregister("bob");
  await until(async () => (await statusOf(here, "witness")) === "offline");
  connection.end();
  here.presence.connect("bob");
  expect(await commands.exists(here.keys.agent("bob"))).toBe(0);
  expect(await commands.zrange(here.keys.onlineAgents, "0", "-1")).toEqual([]);

  await register(here, "bob", "witness");
  await until(async () => (await statusOf(here, "witness")) === "offline");
  expect(await statusOf(here, "bob")).toBe("online");
  expect(await statusesTold(here, "bob")).toEqual(["online", "left", "online"]);
});

test("a process that closes gives a last sign of life for what it holds", async () => {
  const here = openProcess(redis.store);
  await register(here, "bob");
  const connection = here.presence.connect("bob");
  const [before] = await signsOf(here);
  await until(async () => (await redisNow(redis.store)) > (before ?? 0));
  await here[Symbol.asyncDispose]();
  const [after] = await signsOf(here);
  expect(after).toBeGreaterThan(before ?? 0);
  connection.end();
  expect(await signsOf(here)).toEqual([after]);
});

test.for([
  { name: "stands still", stop: "SIGSTOP" },
  { name: "is killed and started again", stop: "SIGKILL" },
] as const)(
  "no connected agent goes offline when Redis $name for longer than the silence, and the sweep goes on",
  async ({ stop }) => {
    await using folder = await createTempFolder();
    const durable = ["--appendonly", "yes", "--appendfsync", "always"];
    await using first = await startStoppableRedis(folder.path, durable);
    await using store = await startStore({ url: first.url, logger: silentLogger });
    const warnings: { reason: string; message: string }[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (fields, message) => void warnings.push({ reason: "err" in fields ? String(fields.err) : "", message }),
    };
    await using here = openProcess(store, undefined, logger);
    await using there = openProcess(store, here.tenant);
    await register(here, "bob", "al", "silent");
    here.presence.connect("bob");
    there.presence.connect("al");
    // From here on silence is believed.
    await until(async () => (await statusOf(here, "silent")) === "offline");
    await register(here, "silent");

    const stoppedAt = Date.now();
    first.signal(stop);
    await using second = stop === "SIGKILL" ? await restart() : undefined;
    await until(() => Date.now() > stoppedAt + 3 * agentOfflineAfterMs && warnings.length > 0);
    if (second) await second.start();
    else first.signal("SIGCONT");

    await until(async () => (await statusOf(here, "silent").catch(() => "away")) === "offline");
    for (const agentId of ["bob", "al"]) {
      expect(await statusOf(here, agentId)).toBe("online");
      expect(await statusesTold(here, agentId)).toEqual(["online"]);
    }
    expect(new Set(warnings.map(({ reason, message }) => reason + message)).size).toBe(warnings.length);

    async function restart() {
      await first.ended;
      const stack = new AsyncDisposableStack();
      return {
        start: async () => void stack.use(await startStoppableRedis(folder.path, durable)),
        [Symbol.asyncDispose]: () => stack.disposeAsync(),
      };
    }
  },
);

test("a silence counts only for who has looked for as long, without a pause, at a Redis that takes writes", async () => {
  await using own = await startFreshRedis();
  const { commands } = own.store;
  await using fresh = startFreshLog(own.store);
  const options = { store: own.store, log: fresh.log, tenant: fresh.tenant };
  await createAgents(options).register({ agent_id: "bob" });
  await commands.zadd(fresh.keys.onlineAgents, 1_000, "bob");
  const isOnline = async () => (await commands.zscore(fresh.keys.onlineAgents, "bob")) !== null;

  const silentMs = 200;
  const agents = createAgentStore(options);
  const patient = createSweep({ agents, silentMs, longestPauseMs: 60_000 });
  const startled = createSweep({ agents, silentMs, longestPauseMs: 0 });
  await patient();
  expect(await isOnline()).toBe(true);

  const until3Silences = (await redisNow(own.store)) + 3 * silentMs;
  await until(async () => {
    await startled();
    return (await redisNow(own.store)) > until3Silences;
  });
  expect(await isOnline()).toBe(true);

  await commands.config("SET", "maxmemory", "1");
  await expect(patient()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await commands.config("SET", "maxmemory", "0");
  await patient();
  expect(await isOnline()).toBe(false);
});

test.for([
  { name: "gives a sign before it is told of", longestPauseMs: 60_000, givesSign: true },
  { name: "could not be heard since, as Redis stood still", longestPauseMs: 50, givesSign: false },
])("who is found silent and $name stays online", async ({ longestPauseMs, givesSign }) => {
  await using fresh = startFreshLog(redis.store);
  const options = { store: redis.store, log: fresh.log, tenant: fresh.tenant };
  const agents = createAgents(options);
  await agents.register({ agent_id: "bob" });
  await redis.store.commands.zadd(fresh.keys.onlineAgents, 1_000, "bob");
  const { findSilent, turnOffline } = createAgentStore(options);
  const sweep = createSweep({
    silentMs: 0,
    longestPauseMs,
    agents: {
      findSilent,
      async turnOffline(silent, watch, limits) {
        expect(silent).toEqual([{ agent_id: "bob", seen: "1000" }]);
        if (givesSign) await agents.heartbeat("bob");
        else await until(async () => (await redisNow(redis.store)) > watch.lookedAt + longestPauseMs);
        return await turnOffline(silent, watch, limits);
      },
    },
  });
  await sweep();
  expect(await agents.get("bob")).toMatchObject({ status: "online" });
});

interface Process extends AsyncDisposable, FreshLog {
  readonly agents: ReturnType<typeof createAgents>;
  readonly presence: Presence;
}

/** What one server process has of agents. */
function openProcess(store: Store, tenant?: string, logger: Logger = silentLogger): Process {
  const fresh = startFreshLog(store, { ...(tenant !== undefined && { tenant }) });
  const options = { store, log: fresh.log, tenant: fresh.tenant };
  const presence = startPresence({ ...options, logger, agentOfflineAfterMs });
  return {
    ...fresh,
    agents: createAgents(options),
    presence,
    async [Symbol.asyncDispose]() {
      await presence[Symbol.asyncDispose]();
      await fresh[Symbol.asyncDispose]();
    },
  };
}

async function register({ agents }: Process, ...agentIds: string[]) {
  const [first] = await Promise.all(agentIds.map((agent_id) => agents.register({ agent_id })));
  if (!first) throw new Error("nobody to register");
  return first;
}

async function statusOf({ agents }: Process, agentId: string): Promise<string> {
  return (await agents.get(agentId)).status;
}

/** Each change of status in the events of an agent; those that only say it again are left out. */
async function statusesTold(process: Process, agentId: string): Promise<string[]> {
  const told: string[] = [];
  for (const event of await readFirehose(process)) {
    if (event.agent_id !== agentId) continue;
    const status = event.event_type === "agent.left" ? "left" : event.payload.status;
    if (status !== told.at(-1)) told.push(status);
  }
  return told;
}

type AgentEvent = Extract<KsiEvent, { event_type: "agent.joined" | "agent.updated" | "agent.left" }>;

async function readFirehose({ log }: Process): Promise<AgentEvent[]> {
  const { entries } = await log.page<AgentEvent>(channels.firehose, { limit: 1_000 });
  return entries.map(({ event }) => event);
}

/** When each agent that is online gave its last sign of life. */
async function signsOf({ keys }: Process): Promise<number[]> {
  const flat = await redis.store.commands.zrange(keys.onlineAgents, "0", "-1", "WITHSCORES");
  return flat.filter((_, i) => i % 2 === 1).map(Number);
}

async function redisNow({ commands }: Store): Promise<number> {
  const [seconds, micros] = await commands.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}
