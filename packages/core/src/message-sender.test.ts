import type { Message } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { channels } from "./redis/keys.ts";
import { startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const numbers = Array.from({ length: 20 }, (_, n) => n);

test("what goes to very many agents is several calls of Redis, which keep the order", async () => {
  await using opened = await startWithAgents(600);
  const calls = vi.spyOn(redis.store.commands, "evalsha");
  const sent = await Promise.all(numbers.map((payload) => opened.port.send(toAll(payload))));
  expect(sent.map(({ recipients }) => recipients)).toEqual(numbers.map(() => 600));
  // 12,000 inboxes in one call would have Redis answer nobody else for as long.
  const bus = opened.fresh.keys.channel(channels.messageBus);
  expect(calls.mock.calls.filter((args) => args.includes(bus)).length).toBe(3);
  expect(await payloads(opened, channels.inbox("agent-7"))).toEqual(numbers);

  calls.mockClear();
  const forOne = { source: "alice", capability: "anything", event_type: "x.n", payload: 0 };
  const chosen = await Promise.all(numbers.map(() => opened.port.send(forOne)));
  expect(new Set(chosen.map(({ target }) => target)).size).toBe(numbers.length);
  expect(calls.mock.calls.filter((args) => args.includes(bus)).length).toBe(3);
});

test("of what is sent in several calls, that of the calls before a failure is sent", async () => {
  await using opened = await startWithAgents(600);
  const bus = opened.fresh.keys.channel(channels.messageBus);
  const { commands } = redis.store;
  const evalsha = commands.evalsha.bind(commands) as (...args: unknown[]) => Promise<unknown>;
  let calls = 0;
  vi.spyOn(commands, "evalsha").mockImplementation(async (...args: unknown[]) => {
    if (args.includes(bus) && ++calls > 1) throw new KsiError("STORE_UNAVAILABLE", "away");
    return await evalsha(...args);
  });
  const { results } = await opened.port.sendBatch({ messages: numbers.map(toAll) });
  const sent = results.filter(({ status }) => status === "sent");
  expect(sent).toHaveLength(9);
  expect(results.slice(9)).toEqual(
    numbers.slice(9).map(() => ({ status: "refused", error: expect.objectContaining({ code: "STORE_UNAVAILABLE" }) })),
  );
  vi.restoreAllMocks();
  expect(await payloads(opened, channels.messageBus)).toEqual(numbers.slice(0, 9));
});

test("what is long counts as much as what goes to more agents", async () => {
  await using opened = await startWithAgents(300);
  const bus = opened.fresh.keys.channel(channels.messageBus);
  const calls = vi.spyOn(redis.store.commands, "evalsha");
  const texts = Array.from({ length: 4 }, (_, n) => `${n}`.repeat(100_000));
  await Promise.all(texts.map((text) => opened.port.send(toAll(text))));
  expect(calls.mock.calls.filter((args) => args.includes(bus)).length).toBe(2);
  expect(await payloads(opened, channels.inbox("agent-7"))).toEqual(texts);
});

test("a broadcast that would fill Redis is refused, and in no place", async () => {
  await using opened = await startWithAgents(1_050);
  const payload = "x".repeat(260_000);
  await expect(opened.port.send(toAll(payload))).rejects.toMatchObject({
    code: "PAYLOAD_TOO_LARGE",
    message: expect.stringContaining("1050 agents"),
  });
  expect(await payloads(opened, channels.messageBus)).toEqual([]);
  expect(await payloads(opened, channels.inbox("agent-1"))).toEqual([]);
  expect((await opened.port.send({ ...toAll(payload), target: "agent-1" })).recipients).toBe(1);
  expect((await opened.port.send(toAll("x".repeat(1_000)))).recipients).toBe(1_050);
});

function toAll(payload: number | string) {
  return { source: "alice", event_type: "x.n", payload };
}

async function startWithAgents(count: number) {
  const opened = await startFreshMessages(redis.store, { agents: [] });
  const ids = Array.from({ length: count }, (_, n) => `agent-${n}`);
  await Promise.all(ids.map((agent_id) => opened.agents.register({ agent_id, capabilities: ["anything"] })));
  return opened;
}

async function payloads({ fresh }: Awaited<ReturnType<typeof startWithAgents>>, channel: string): Promise<unknown[]> {
  const { entries } = await fresh.log.page<Message>(channel, { limit: 500 });
  return entries.map(({ event }) => event.payload);
}
