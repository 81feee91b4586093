import { type Message, schemas } from "@ksi/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createAgents } from "./agents.ts";
import { createMessages } from "./messages.ts";
import { channels } from "./redis/keys.ts";
import { type FreshLog, startFreshLog, take } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("a direct message goes to its target's inbox, the message bus and the firehose under one id", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, ["alice", "bob"]);
  const { id, recipients } = await messages.send({
    source: "alice",
    target: "bob",
    event_type: "DIRECT_MESSAGE",
    payload: { text: "line\nbreak", list: [] },
  });
  expect(recipients).toBe(1);
  const [message] = await read(fresh, channels.inbox("bob"));
  expect(message).toEqual({
    id,
    source: "alice",
    target: "bob",
    event_type: "DIRECT_MESSAGE",
    payload: { text: "line\nbreak", list: [] },
    timestamp: expect.any(String),
  });
  expect(message).toEqual(schemas.message.parse(message));
  expect(await read(fresh, channels.messageBus)).toEqual([message]);
  expect((await read(fresh, channels.firehose)).at(-1)).toEqual(message);
  expect(await read(fresh, channels.inbox("alice"))).toEqual([]);
  expect(await read(fresh, channels.agentsBroadcast)).toEqual([]);
});

test("a broadcast goes to every registered agent but its source", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, ["alice", "bob", "carol"]);
  const { id, recipients } = await messages.send({ source: "bob", event_type: "x.hello", payload: null });
  expect(recipients).toBe(2);
  const everywhere = ["alice", "carol"].map(channels.inbox).concat(channels.agentsBroadcast, channels.messageBus);
  for (const name of everywhere) {
    expect(await read(fresh, name)).toEqual([expect.objectContaining({ id, source: "bob", payload: null })]);
  }
  expect((await read(fresh, channels.firehose)).at(-1)).toMatchObject({ id });
  expect(await read(fresh, channels.inbox("bob"))).toEqual([]);

  expect(await messages.send({ source: "user", event_type: "x.hello", payload: 1 })).toMatchObject({ recipients: 3 });
});

test("a message to an agent that is not registered is NOT_FOUND and nowhere in the log", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, []);
  const message = { source: "alice", target: "bob", event_type: "x.hello", payload: 1 };
  await expect(messages.send(message)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await read(fresh, channels.messageBus)).toEqual([]);
  expect(await redis.store.commands.exists(fresh.keys.channel(channels.inbox("bob")))).toBe(0);
});

test("an inbox is followed from its oldest message, and resumes where it was", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, ["bob"]);
  const send = (n: number) => messages.send({ source: "alice", target: "bob", event_type: "x.n", payload: n });
  await send(1);
  await send(2);
  const inbox = (await messages.inbox("bob", {}))[Symbol.asyncIterator]();
  const [first, second] = await take(inbox, 2);
  await send(3);
  expect((await take(inbox, 1))[0]?.event.payload).toBe(3);
  await inbox.return?.();

  const resumed = (await messages.inbox("bob", { lastEventId: first?.cursor }))[Symbol.asyncIterator]();
  expect((await take(resumed, 2)).map(({ event }) => event.payload)).toEqual([2, 3]);
  await resumed.return?.();
  const fromNow = (await messages.inbox("bob", { lastEventId: null, from: "now" }))[Symbol.asyncIterator]();
  await send(4);
  expect((await take(fromNow, 1))[0]?.event.payload).toBe(4);
  await fromNow.return?.();
  expect(second?.event.payload).toBe(2);
});

test("the inbox of an agent that is not registered is NOT_FOUND", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, []);
  await expect(messages.inbox("bob", {})).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("the history is oldest first, in pages", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, []);
  for (const payload of [1, 2, 3]) await messages.send({ source: "alice", event_type: "x.n", payload });
  const first = await messages.history({ limit: 2 });
  expect(first.messages.map(({ payload }) => payload)).toEqual([1, 2]);
  const second = await messages.history({ limit: 2, after: first.next });
  expect(second).toEqual({ messages: [expect.objectContaining({ payload: 3 })] });
});

test("the history of one agent has what it sent and was sent directly, found in bounded steps", async () => {
  await using fresh = startFreshLog(redis.store);
  const messages = await openMessages(fresh, []);
  const isBobs = (n: number) => n === 10 || n === 700 || n === 6_500;
  const sent = Array.from({ length: 6_600 }, (_, n) => ({
    id: String(n),
    source: isBobs(n) && n !== 700 ? "bob" : "alice",
    target: n === 700 ? "bob" : "carol",
    event_type: "x.n",
    payload: n,
    timestamp: new Date().toISOString(),
  }));
  await Promise.all(sent.map((event) => fresh.log.append({ event, channels: [channels.messageBus] })));

  const pages: unknown[][] = [];
  let after: string | undefined;
  do {
    const page = await messages.history({ limit: 1, agent_id: "bob", after });
    pages.push(page.messages.map(({ payload }) => payload));
    after = page.next;
  } while (after !== undefined);
  expect(pages).toEqual([[10], [700], [], [6_500], []]);
});

async function openMessages({ log, tenant }: FreshLog, agentIds: string[]) {
  const agents = createAgents({ store: redis.store, log, tenant });
  for (const agent_id of agentIds) await agents.register({ agent_id, capabilities: [] });
  return createMessages({ store: redis.store, log, tenant });
}

async function read({ log }: FreshLog, channel: string): Promise<Message[]> {
  const { entries } = await log.page<Message>(channel, { limit: 500 });
  return entries.map(({ event }) => event);
}
