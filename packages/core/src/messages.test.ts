import { type Message, schemas } from "@ksi/contract";
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import type { FreshLog } from "./testing/fresh-log.ts";
import { startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("a direct message goes to its target's inbox, the message bus and the firehose under one id", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: ["alice", "bob"] });
  const { fresh, port: messages } = opened;
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
  await using opened = await startFreshMessages(redis.store, { agents: ["alice", "bob", "carol"] });
  const { fresh, port: messages } = opened;
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
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  const { fresh, port: messages } = opened;
  const message = { source: "alice", target: "bob", event_type: "x.hello", payload: 1 };
  await expect(messages.send(message)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await read(fresh, channels.messageBus)).toEqual([]);
  expect(await redis.store.commands.exists(fresh.keys.channel(channels.inbox("bob")))).toBe(0);
});

test("the history is oldest first, in pages", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  const { port: messages } = opened;
  for (const payload of [1, 2, 3]) await messages.send({ source: "alice", event_type: "x.n", payload });
  const first = await messages.history({ limit: 2 });
  expect(first.messages.map(({ payload }) => payload)).toEqual([1, 2]);
  const second = await messages.history({ limit: 2, after: first.next });
  expect(second).toEqual({ messages: [expect.objectContaining({ payload: 3 })] });
});

test("the history is read from its newest message backwards, in pages", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: ["bob"] });
  const { port } = opened;
  const input = { newest_first: true, limit: 100 };
  expect(await port.history(input)).toEqual({ messages: [] });
  await Promise.all(
    Array.from({ length: 150 }, (_, n) => port.send({ source: `s-${n % 3}`, event_type: "x.n", payload: n })),
  );
  const first = await port.history(input);
  const second = await port.history({ ...input, after: first.next });
  expect([...first.messages, ...second.messages].map(({ payload }) => payload)).toEqual(
    Array.from({ length: 150 }, (_, i) => 149 - i),
  );
  expect(second.next).toBeUndefined();
  const { messages } = await port.history({ newest_first: true, limit: 2, source: "s-1" });
  expect(messages.map(({ payload }) => payload)).toEqual([148, 145]);
});

test("the history of one agent has what it sent and was sent directly, found in bounded steps", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  const { fresh, port: messages } = opened;
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

test.for([
  [{ source: "bob" }, [2, 4]],
  [{ target: "carol" }, [2, 3]],
  [{ event_type: "x.a*" }, [1, 2]],
  [{ event_type: "x.b" }, [3]],
  [{ correlation_id: "c" }, [3, 4]],
  [{ source: "bob", target: "carol" }, [2]],
] as const)("the history with %j has only what matches", async ([filter, expected]) => {
  await using opened = await startFreshMessages(redis.store, { agents: ["bob", "carol"] });
  const { port } = opened;
  await port.send({ source: "alice", target: "bob", event_type: "x.a", payload: 1 });
  await port.send({ source: "bob", target: "carol", event_type: "x.ab", payload: 2 });
  await port.send({ source: "alice", target: "carol", event_type: "x.b", payload: 3, correlation_id: "c" });
  await port.send({ source: "bob", event_type: "x.c", payload: 4, correlation_id: "c" });
  const { messages } = await port.history({ limit: 10, ...filter });
  expect(messages.map(({ payload }) => payload)).toEqual(expected);
});

test("what is sent together arrives in its order, each with its own answer", async () => {
  await using opened = await startFreshMessages(redis.store);
  const answers = await Promise.allSettled(
    Array.from({ length: 500 }, (_, n) =>
      opened.port.send({ source: "alice", target: n % 5 === 4 ? "nobody" : "bob", event_type: "x.n", payload: n }),
    ),
  );
  const refused = answers.flatMap(({ status }, n) => (status === "rejected" ? [n] : []));
  expect(refused).toEqual(Array.from({ length: 100 }, (_, i) => i * 5 + 4));
  const inbox = await read(opened.fresh, channels.inbox("bob"));
  expect(inbox.map(({ payload }) => payload)).toEqual(
    Array.from({ length: 500 }, (_, n) => n).filter((n) => n % 5 !== 4),
  );
});

test("a batch is sent in its order, and what is refused of it holds up no other", async () => {
  await using opened = await startFreshMessages(redis.store, { messaging: { maxHops: 1 } });
  const to = (target: string, payload: number, more?: object) => ({
    source: "alice",
    target,
    event_type: "x.n",
    payload,
    ...more,
  });
  const messages = [
    to("bob", 1),
    to("nobody", 2),
    to("bob", 3, { hops: 2 }),
    to("bob", 4),
    to("bob", 5, { idempotency_key: "k" }),
  ];
  const { results } = await opened.port.sendBatch({ messages });
  expect(results).toMatchObject([
    { status: "sent", target: "bob" },
    { status: "refused", error: { code: "NOT_FOUND" } },
    { status: "refused", error: { code: "LOOP_DETECTED" } },
    { status: "sent" },
    { status: "sent" },
  ]);
  expect((await opened.port.sendBatch({ messages: messages.slice(4) })).results).toEqual(results.slice(4));
  const inbox = await read(opened.fresh, channels.inbox("bob"));
  expect(inbox.map(({ payload }) => payload)).toEqual([1, 4, 5]);
});

test("an idempotency key sends one message, and refuses another body", async () => {
  await using opened = await startFreshMessages(redis.store);
  const message = { source: "alice", target: "bob", event_type: "x.n", payload: { a: 1, b: 2 }, idempotency_key: "k" };
  const first = await opened.port.send(message);
  const same = { ...message, payload: { b: 2, a: 1 } };
  expect(await Promise.all([opened.port.send(message), opened.port.send(same)])).toEqual([first, first]);
  await expect(opened.port.send({ ...message, payload: 3 })).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await read(opened.fresh, channels.messageBus)).toHaveLength(1);
});

test("a request is answered with the first message of its correlation id, whether or not its source is registered", async () => {
  await using opened = await startFreshMessages(redis.store);
  const inbox = await opened.inbox();
  const question = { source: "user", target: "bob", event_type: "x.question", payload: 6, timeout_ms: 10_000 };
  const answering = opened.port.request(question);
  const { value } = await inbox.next();
  const { correlation_id } = value.event;
  const answer = { source: "bob", target: "user", event_type: "x.answer", payload: 42, correlation_id };
  const { id } = await opened.port.send(answer);
  expect(await answering).toMatchObject({ status: "replied", id: value.event.id, reply: { id, payload: 42 } });
  const delivered = await opened.told("message.delivered");
  expect(delivered).toContainEqual(
    expect.objectContaining({ agent_id: "user", target: "bob", payload: { message_id: id, correlation_id } }),
  );
  // The second answer has nobody who waits for it.
  await expect(opened.port.send(answer)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await inbox.return?.();
  expect(await read(opened.fresh, channels.messageBus)).toHaveLength(2);
});

test("an answer goes to reply_to where that is given, and to no inbox while the request waits", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: ["bob", "secretary"] });
  const { port } = opened;
  const question = {
    source: "user",
    target: "bob",
    event_type: "x.q",
    payload: 1,
    reply_to: "secretary",
    correlation_id: "c",
  };
  const answering = port.request({ ...question, timeout_ms: 10_000 });
  await until(async () => (await read(opened.fresh, channels.messageBus)).length === 1);
  await expect(port.request({ ...question, timeout_ms: 10 })).rejects.toMatchObject({ code: "CONFLICT" });
  const answer = { source: "bob", target: "secretary", event_type: "x.a", payload: 2, correlation_id: "c" };
  await port.send({ ...answer, correlation_id: "another", payload: 0 });
  await port.send(answer);
  expect((await answering).reply.payload).toBe(2);
  expect((await read(opened.fresh, channels.inbox("secretary"))).map(({ payload }) => payload)).toEqual([0]);
  await port.send({ ...answer, payload: 3 });
  expect((await read(opened.fresh, channels.inbox("secretary"))).map(({ payload }) => payload)).toEqual([0, 3]);
});

test("what becomes of a message is told behind the message, also where that is at once", async () => {
  await using opened = await startFreshMessages(redis.store, { messaging: { maxInboxMessages: 1 } });
  const question = { source: "user", target: "bob", event_type: "x.question", payload: 6, timeout_ms: 10_000 };
  const answering = opened.port.request({ ...question, correlation_id: "c" });
  await until(async () => (await opened.told("x.question")).length === 1);
  await opened.port.send({ source: "bob", target: "user", event_type: "x.answer", payload: 42, correlation_id: "c" });
  await answering;
  await opened.port.send({ source: "user", event_type: "x.finds_full", payload: null });
  const told = await opened.told("x.answer", "message.delivered", "x.finds_full", "message.dead");
  const types = told.map(({ event_type }) => event_type);
  expect(types).toEqual(["x.answer", "message.delivered", "x.finds_full", "message.dead"]);
});

test("a request without an answer in time is a TIMEOUT that names the message, and one that is cancelled ends at once", async () => {
  await using opened = await startFreshMessages(redis.store);
  const question = { source: "user", target: "bob", event_type: "x.q", payload: 1 };
  const failure = await opened.port.request({ ...question, timeout_ms: 20 }).catch((thrown: unknown) => thrown);
  const [sent] = await read(opened.fresh, channels.inbox("bob"));
  expect(failure).toMatchObject({ code: "TIMEOUT", details: { message_id: sent?.id } });
  const leaving = new AbortController();
  const asked = opened.port.request({ ...question, timeout_ms: 60_000 }, leaving.signal);
  await until(async () => (await read(opened.fresh, channels.inbox("bob"))).length === 2);
  leaving.abort();
  await expect(asked).rejects.toMatchObject({ code: "CANCELLED" });
});

test("an answer that says why there is none is AGENT_FAILED for who waits, and a message for who does not", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: ["alice", "bob"] });
  const question = { source: "user", target: "bob", event_type: "x.q", payload: 1, correlation_id: "c1" };
  const asked = opened.port.request({ ...question, timeout_ms: 60_000 }).catch((thrown: unknown) => thrown);
  await until(async () => (await read(opened.fresh, channels.inbox("bob"))).length === 1);
  const error = { code: "NO_MONEY", message: "The account is empty." };
  const answer = { source: "bob", event_type: "x.reply", payload: null, correlation_id: "c1", error };
  await opened.port.send({ ...answer, target: "user" });
  const [sent] = await read(opened.fresh, channels.inbox("bob"));
  expect(await asked).toMatchObject({
    code: "AGENT_FAILED",
    message: "bob could not do it: The account is empty.",
    details: { message_id: sent?.id, agent_error: error },
  });
  await opened.port.send({ ...answer, target: "alice" });
  expect(await read(opened.fresh, channels.inbox("alice"))).toMatchObject([{ error, payload: null }]);
});

test("a message that has passed through too many hands is refused, and everybody can see it", async () => {
  await using opened = await startFreshMessages(redis.store, { messaging: { maxHops: 3 } });
  await opened.send(1, { hops: 3 });
  await expect(opened.send(2, { hops: 4 })).rejects.toMatchObject({ code: "LOOP_DETECTED" });
  expect(await opened.told("message.blocked")).toMatchObject([
    { source: "alice", target: "bob", payload: { reason: "hops", limit: 3 } },
  ]);
  expect((await read(opened.fresh, channels.inbox("bob"))).map(({ payload, hops }) => [payload, hops])).toEqual([
    [1, 3],
  ]);
});

test("two agents that send each other too much are stopped for a while, told once, and others are not", async () => {
  const agents = ["alice", "bob", "carol"];
  await using opened = await startFreshMessages(redis.store, { messaging: { maxMessagesPerMinute: 4 }, agents });
  const send = (source: string, target: string) => opened.port.send({ source, target, event_type: "x.n", payload: 1 });
  for (let i = 0; i < 2; i++) {
    await send("alice", "bob");
    await send("bob", "alice");
  }
  for (const [source, target] of [
    ["alice", "bob"],
    ["bob", "alice"],
  ] as const) {
    const refusal = { code: "RATE_LIMITED", details: { retry_after_ms: expect.any(Number) } };
    await expect(send(source, target)).rejects.toMatchObject(refusal);
  }
  expect(await opened.told("message.blocked")).toMatchObject([
    { source: "alice", target: "bob", payload: { reason: "rate", limit: 4 } },
  ]);
  await send("alice", "carol");
  // Not an agent, so that nobody can answer it without end.
  for (let i = 0; i < 6; i++) await send("user", "bob");
});

async function read({ log }: FreshLog, channel: string): Promise<Message[]> {
  const { entries } = await log.page<Message>(channel, { limit: 500 });
  return entries.map(({ event }) => event);
}
