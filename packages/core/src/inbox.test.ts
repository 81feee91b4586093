import type { Entry, Message } from "@ksi/contract";
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { trimByAge } from "./event-log-trim.ts";
import { channels } from "./redis/keys.ts";
import { take } from "./testing/fresh-log.ts";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("an inbox begins with what nobody has acknowledged, in the order sent, and goes on with what comes", async () => {
  await using bob = await startFreshMessages(redis.store);
  const ids = [];
  for (const n of [1, 2, 3, 4, 5]) ids.push(await bob.send(n));
  await ack(bob, ids[1], ids[3]);
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 3))).toEqual([1, 3, 5]);
  await bob.send(6);
  expect(payloads(await take(inbox, 1))).toEqual([6]);
  await inbox.return?.();

  const again = await bob.inbox();
  expect(payloads(await take(again, 4))).toEqual([1, 3, 5, 6]);
  await again.return?.();
});

test("with a cursor an inbox goes on there, whether or not what came before was acknowledged", async () => {
  await using bob = await startFreshMessages(redis.store);
  for (const n of [1, 2, 3]) await bob.send(n);
  const inbox = await bob.inbox();
  const [, second] = await take(inbox, 2);
  await inbox.return?.();
  const resumed = await bob.inbox({ lastEventId: second?.cursor });
  expect(payloads(await take(resumed, 1))).toEqual([3]);
  await resumed.return?.();
});

test("several consumers each get everything", async () => {
  await using bob = await startFreshMessages(redis.store);
  await bob.send(1);
  const inboxes = await Promise.all([bob.inbox(), bob.inbox()]);
  await bob.send(2);
  for (const inbox of inboxes) {
    expect(payloads(await take(inbox, 2))).toEqual([1, 2]);
    await inbox.return?.();
  }
});

test("a message is delivered and acknowledged once, and its sender can see it", async () => {
  await using bob = await startFreshMessages(redis.store);
  const id = await bob.send(1, { correlation_id: 'a "b"' });
  for (let i = 0; i < 2; i++) {
    const inbox = await bob.inbox();
    await take(inbox, 1);
    await inbox.return?.();
  }
  await until(async () => (await bob.told("message.delivered")).length > 0);
  expect(await bob.port.ack({ agent_id: "bob", ids: [id, id] })).toEqual({ status: "acked", acked: 1 });
  expect(await ack(bob, id)).toBe(0);
  expect(await bob.told("message.delivered", "message.acked")).toEqual(
    ["message.delivered", "message.acked"].map((event_type) => ({
      id: expect.any(String),
      timestamp: expect.any(String),
      event_type,
      source: "bob",
      agent_id: "bob",
      target: "alice",
      payload: { message_id: id, correlation_id: 'a "b"' },
    })),
  );
});

test("acknowledgements that come together are each told what they did", async () => {
  await using bob = await startFreshMessages(redis.store, { agents: ["bob", "carol"] });
  const ids = await Promise.all([1, 2, 3].map((n) => bob.send(n)));
  const [one = "", two = "", three = ""] = ids;
  const answers = await Promise.allSettled([
    bob.port.ack({ agent_id: "bob", ids: [one, two] }),
    bob.port.ack({ agent_id: "carol", ids: [three] }),
    bob.port.ack({ agent_id: "nobody", ids: [three] }),
    bob.port.ack({ agent_id: "bob", ids: [two, three] }),
  ]);
  expect(answers).toMatchObject([
    { value: { acked: 2 } },
    { value: { acked: 0 } },
    { reason: { code: "NOT_FOUND" } },
    { value: { acked: 1 } },
  ]);
});

test("who only looks at an inbox takes nothing and is not there", async () => {
  await using bob = await startFreshMessages(redis.store);
  const id = await bob.send(1);
  await ack(bob, id);
  const second = await bob.send(2);
  const looking = await bob.inbox({ from: "oldest" });
  expect(payloads(await take(looking, 2))).toEqual([1, 2]);
  expect(bob.connected).toEqual([]);
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 1))).toEqual([2]);
  expect(bob.connected).toEqual(["bob"]);
  await inbox.return?.();
  expect(bob.connected).toEqual([]);
  await looking.return?.();
  const delivered = async () => (await bob.told("message.delivered")).map(({ payload }) => payload);
  await until(async () => (await delivered()).length === 2);
  expect(await delivered()).toEqual([{ message_id: id }, { message_id: second }]);
});

test("a message whose time is over expires, and is not delivered any more", async () => {
  await using bob = await startFreshMessages(redis.store);
  const id = await bob.send(1, { ttl_ms: 30 });
  await bob.send(2);
  await until(async () => (await bob.told("message.expired")).length === 1);
  expect(await bob.told("message.expired")).toMatchObject([
    { agent_id: "bob", target: "alice", payload: { message_id: id } },
  ]);
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 1))).toEqual([2]);
  await inbox.return?.();
  expect(await ack(bob, id)).toBe(0);
});

test("a message that is delivered again and again is a dead letter, and can be put back", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxDeliveries: 2 } });
  const id = await bob.send(1, { correlation_id: "c 1" });
  for (let i = 0; i < 2; i++) {
    const inbox = await bob.inbox();
    await take(inbox, 1);
    await inbox.return?.();
    await until(async () => (await deliveries(bob, id)) === i + 1);
  }
  await bob.send(2);
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 1))).toEqual([2]);
  expect(await bob.told("message.dead")).toMatchObject([
    { payload: { message_id: id, correlation_id: "c 1", reason: "max_deliveries", deliveries: 2 } },
  ]);
  const { dead_letters } = await bob.port.deadLetters({ agent_id: "bob", limit: 10 });
  expect(dead_letters).toEqual([
    {
      message: expect.objectContaining({ id, payload: 1, correlation_id: "c 1" }),
      reason: "max_deliveries",
      deliveries: 2,
      died_at: expect.any(String),
    },
  ]);

  expect(await bob.port.redrive({ agent_id: "bob", ids: [id] })).toEqual({ status: "redriven", redriven: 1 });
  expect(await take(inbox, 1)).toMatchObject([{ event: { id, payload: 1 } }]);
  await inbox.return?.();
  expect(await bob.port.redrive({ agent_id: "bob" })).toEqual({ status: "redriven", redriven: 0 });
  expect(await bob.told("message.redriven")).toMatchObject([{ payload: { message_id: id, correlation_id: "c 1" } }]);
  expect(await ack(bob, id)).toBe(1);
});

test("only the first message dies of a consumer that ends again and again, and none of those behind it", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxDeliveries: 3 } });
  const [first = ""] = [await bob.send(1), await bob.send(2), await bob.send(3)];
  for (let i = 0; i < 3; i++) {
    const inbox = await bob.inbox();
    await take(inbox, 3);
    await inbox.return?.();
    await until(async () => (await deliveries(bob, first)) === i + 1);
  }
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 2))).toEqual([2, 3]);
  await inbox.return?.();
  const { dead_letters } = await bob.port.deadLetters({ agent_id: "bob", limit: 10 });
  expect(dead_letters).toMatchObject([{ message: { payload: 1 }, deliveries: 3 }]);
});

test("dead letters are listed in pages, oldest first", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxInboxMessages: 1 } });
  for (const n of [0, 1, 2, 3]) await bob.port.send({ source: "alice", event_type: "x.n", payload: n });
  const first = await bob.port.deadLetters({ agent_id: "bob", limit: 2 });
  const second = await bob.port.deadLetters({ agent_id: "bob", limit: 2, after: first.next });
  expect([first, second].map((page) => page.dead_letters.map(({ message }) => message.payload))).toEqual([[1, 2], [3]]);
  expect(second.next).toBeUndefined();
  await expect(bob.port.deadLetters({ agent_id: "nobody", limit: 2 })).rejects.toMatchObject({ code: "NOT_FOUND" });
  for (const after of ["(inf", "-1", "\u0001"]) {
    const details = { issues: [{ path: "after", message: "is not a `next` of this list" }] };
    const asked = bob.port.deadLetters({ agent_id: "bob", limit: 2, after });
    await expect(asked).rejects.toMatchObject({ code: "INVALID_INPUT", details });
  }
});

test("a page of long dead letters is shorter, and has a next one", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxInboxMessages: 1 } });
  await bob.send(0);
  const text = "x".repeat(200_000);
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  for (const n of numbers) await bob.port.send({ source: "alice", event_type: "x.n", payload: { n, text } });
  const seen: unknown[] = [];
  const sizes: number[] = [];
  for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
    const page = await bob.port.deadLetters({ agent_id: "bob", limit: 50, after });
    seen.push(...page.dead_letters.map(({ message }) => message.payload));
    sizes.push(page.dead_letters.length);
    after = page.next;
  }
  expect(seen).toEqual(numbers.map((n) => ({ n, text })));
  expect(Math.max(...sizes) * text.length).toBeLessThan(8_000_000);
});

test("a dead letter that is put back is kept for as long as a new message", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxDeliveries: 1 } });
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
  const id = await bob.send(1).finally(() => vi.useRealTimers());
  const beforeTrim = (_key: string, first: string) => bob.messages.expireBefore("bob", first);
  const redrivenAt: unknown[] = [];
  for (let round = 0; round < 3; round++) {
    const inbox = await bob.inbox();
    const [entry] = await take(inbox, 1);
    await inbox.return?.();
    redrivenAt.push(entry?.event.redriven_at);
    expect(entry?.json.split("redriven_at")).toHaveLength(round === 0 ? 1 : 2);
    await until(async () => (await deliveries(bob, id)) === 1);
    await (await bob.inbox()).return?.();
    expect(await bob.port.redrive({ agent_id: "bob" })).toMatchObject({ redriven: 1 });
    await trimByAge({ store: redis.store, maxAgeMs: 60_000, beforeTrim });
  }
  const [first, ...later] = redrivenAt;
  expect(first).toBeUndefined();
  for (const at of later) expect(Date.now() - Date.parse(String(at))).toBeLessThan(60_000);
});

test("dead letters are put back in their order, a handful with each call of Redis", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { maxInboxMessages: 0 } });
  const sent: string[] = [];
  const numbers = Array.from({ length: 40 }, (_, n) => n);
  for (const n of numbers) sent.push((await bob.port.send({ source: "alice", event_type: "x.n", payload: n })).id);
  await using roomy = await startFreshMessages(redis.store, { tenant: bob.fresh.tenant, agents: [] });
  const calls = vi.spyOn(redis.store.commands, "evalsha");
  expect(await roomy.port.redrive({ agent_id: "bob" })).toMatchObject({ redriven: 40 });
  const lettersOf = (args: readonly unknown[]) => args.filter((arg) => sent.includes(String(arg))).length;
  // All at once could be 128 MB, and what subscribes is cut off by Redis.
  expect(Math.max(...calls.mock.calls.map(lettersOf))).toBe(16);
  calls.mockRestore();
  const inbox = await roomy.inbox();
  expect(payloads(await take(inbox, 40))).toEqual(numbers);
  await inbox.return?.();
});

test("a full inbox refuses what is sent to it, a broadcast leaves it a dead letter, and room is made by acknowledging", async () => {
  await using bob = await startFreshMessages(redis.store, {
    messaging: { maxInboxMessages: 2 },
    agents: ["bob", "carol"],
  });
  const ids = [await bob.send(1), await bob.send(2)];
  await expect(bob.send(3)).rejects.toMatchObject({
    code: "INBOX_FULL",
    details: { retry_after_ms: expect.any(Number) },
  });
  const { recipients } = await bob.port.send({ source: "alice", event_type: "x.n", payload: 4 });
  expect(recipients).toBe(1);
  expect(await bob.told("message.dead")).toMatchObject([
    { agent_id: "bob", payload: { reason: "inbox_full", deliveries: 0 } },
  ]);
  expect(await bob.port.redrive({ agent_id: "bob" })).toMatchObject({ redriven: 0 });
  await ack(bob, ids[0]);
  expect(await bob.port.redrive({ agent_id: "bob" })).toMatchObject({ redriven: 1 });
  const inbox = await bob.inbox();
  expect(payloads(await take(inbox, 2))).toEqual([2, 4]);
  await inbox.return?.();
});

test("a message that the inbox cannot keep any more is a dead letter, never lost in silence", async () => {
  await using bob = await startFreshMessages(redis.store, { maxEvents: 100 });
  const stuck = await bob.send(-1);
  for (let n = 0; n < 20; n++) {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, i) => bob.send(n * 20 + i)));
    await ack(bob, ...ids);
  }
  const length = await redis.store.commands.xlen(bob.fresh.keys.channel(channels.inbox("bob")));
  expect(length).toBeGreaterThanOrEqual(100);
  expect(length).toBeLessThan(165);
  const { dead_letters } = await bob.port.deadLetters({ agent_id: "bob", limit: 10 });
  expect(dead_letters).toMatchObject([{ message: { id: stuck, payload: -1 }, reason: "overtaken" }]);
});

test("of an inbox whose channel was made much shorter nothing is lost, however much of it nobody has acknowledged", async () => {
  await using bob = await startFreshMessages(redis.store);
  const count = 1_300;
  await Promise.all(Array.from({ length: count }, (_, n) => bob.send(n)));
  await using short = await startFreshMessages(redis.store, { maxEvents: 100, tenant: bob.fresh.tenant, agents: [] });
  // The channel is cut once in so many messages.
  await Promise.all(Array.from({ length: 64 }, (_, i) => short.send(count + i)));
  const letters = await bob.port.deadLetters({ agent_id: "bob", limit: 500 });
  expect(letters.dead_letters.map(({ message, reason }) => [message.payload, reason])).toEqual(
    Array.from({ length: 500 }, (_, n) => [n, "overtaken"]),
  );
  const inbox = await bob.inbox();
  const kept = payloads(await take(inbox, count + 64 - 1_000));
  expect(kept).toEqual(Array.from({ length: count + 64 - 1_000 }, (_, i) => 1_000 + i));
  await inbox.return?.();
});

test("what is older than the history keeps expires before it is trimmed", async () => {
  await using bob = await startFreshMessages(redis.store);
  const ids = [await bob.send(1), await bob.send(2), await bob.send(3)];
  const [, second] = await redis.store.commands.xrange(bob.fresh.keys.channel(channels.inbox("bob")), "-", "+");
  await bob.messages.expireBefore("bob", second?.[0] ?? "");
  expect(await bob.told("message.expired")).toMatchObject([{ payload: { message_id: ids[0] } }]);
  expect(await ack(bob, ...ids)).toBe(2);
});

test("a shared inbox gives each message to one consumer, as many as it may hold", async () => {
  await using bob = await startFreshMessages(redis.store);
  const one = await bob.inbox({ mode: "shared", prefetch: 2 });
  const first = take(one, 2);
  for (const n of [1, 2, 3, 4]) await bob.send(n);
  expect(payloads(await first)).toEqual([1, 2]);
  const two = await bob.inbox({ mode: "shared", prefetch: 2 });
  expect(payloads(await take(two, 2))).toEqual([3, 4]);
  await bob.send(5);
  const next = take(one, 1);
  await ack(bob, (await first)[1]?.event.id);
  expect(payloads(await next)).toEqual([5]);
  await one.return?.();
  await two.return?.();
});

test("idle consumers of a shared inbox take turns", async () => {
  await using bob = await startFreshMessages(redis.store);
  const stop = new AbortController();
  const given: unknown[][] = [[], [], []];
  const reading = given.map(async (mine) => {
    const inbox = { agent_id: "bob", mode: "shared", prefetch: 10 } as const;
    for await (const { event } of await bob.port.inbox(inbox, stop.signal)) {
      mine.push(event.payload);
      await ack(bob, event.id);
    }
  });
  for (let n = 0; n < 12; n++) {
    await bob.send(n);
    await until(() => given.flat().length === n + 1);
  }
  for (const mine of given) expect(mine.length).toBeGreaterThanOrEqual(2);
  stop.abort();
  await Promise.all(reading);
});

test("what a consumer of a shared inbox leaves behind goes to the others", async () => {
  await using bob = await startFreshMessages(redis.store);
  const one = await bob.inbox({ mode: "shared", prefetch: 10 });
  const two = await bob.inbox({ mode: "shared", prefetch: 10 });
  for (const n of [1, 2, 3]) await bob.send(n);
  const taken = await take(one, 3);
  await ack(bob, taken[1]?.event.id);
  const rest = take(two, 2);
  await one.return?.();
  expect(payloads(await rest)).toEqual([1, 3]);
  await two.return?.();
  expect((await bob.told("message.delivered")).length).toBe(3);
});

test("a message that a consumer gives back goes to the next, at once or after a while", async () => {
  await using bob = await startFreshMessages(redis.store);
  const one = await bob.inbox({ mode: "shared", prefetch: 1 });
  const id = await bob.send(1);
  await take(one, 1);
  const two = await bob.inbox({ mode: "shared", prefetch: 3 });
  const given = take(two, 1);
  expect(await bob.port.nack({ agent_id: "bob", ids: [id], delay_ms: 0 })).toEqual({ status: "nacked", nacked: 1 });
  const again = take(one, 1);
  expect(payloads([...(await Promise.race([given, again]))])).toEqual([1]);

  expect(await bob.port.nack({ agent_id: "bob", ids: [id, id], delay_ms: 300 })).toMatchObject({ nacked: 1 });
  const nackedAt = performance.now();
  await until(async () => (await deliveries(bob, id)) === 3);
  expect(performance.now() - nackedAt).toBeGreaterThan(290);
  expect(await ack(bob, id)).toBe(1);
  expect(await bob.port.nack({ agent_id: "bob", ids: [id], delay_ms: 0 })).toMatchObject({ nacked: 0 });
  await expect(bob.port.nack({ agent_id: "nobody", ids: [id], delay_ms: 0 })).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await one.return?.();
  await two.return?.();
  await Promise.allSettled([given, again]);
});

test("a message that expires while a consumer of a shared inbox holds it makes room for the next", async () => {
  await using bob = await startFreshMessages(redis.store);
  const inbox = await bob.inbox({ mode: "shared", prefetch: 1 });
  const held = await bob.send(1, { ttl_ms: 300 });
  await take(inbox, 1);
  await bob.send(2);
  const next = take(inbox, 1);
  const isExpired = async () => (await bob.told("message.expired")).length > 0;
  await until(isExpired);
  const expiredAt = performance.now();
  expect(payloads(await next)).toEqual([2]);
  // Redis tells of it. Without that a consumer looks every five seconds.
  expect(performance.now() - expiredAt).toBeLessThan(2_000);
  expect(await ack(bob, held)).toBe(0);
  await inbox.return?.();
});

test("a consumer of a shared inbox that does not acknowledge in time loses the message, and a message that nobody can handle dies", async () => {
  await using bob = await startFreshMessages(redis.store, { messaging: { ackTimeoutMs: 50, maxDeliveries: 2 } });
  const inbox = await bob.inbox({ mode: "shared", prefetch: 10 });
  const id = await bob.send(1);
  const twice = await take(inbox, 2);
  expect(twice.map(({ event }) => event.id)).toEqual([id, id]);
  const last = take(inbox, 1);
  await until(async () => (await bob.told("message.dead")).length === 1, { deadlineMs: 15_000 });
  await bob.send(2);
  expect(payloads(await last)).toEqual([2]);
  await inbox.return?.();
});

test("a consumer of a shared inbox whose process has died loses what it held", async () => {
  await using bob = await startFreshMessages(redis.store);
  const { commands } = redis.store;
  const id = await bob.send(1);
  const inbox = await bob.inbox({ mode: "shared", prefetch: 10 });
  await take(inbox, 1);
  const again = take(inbox, 1);
  const { inboxConsumers } = bob.fresh.keys;
  const [member = ""] = await commands.zrange(inboxConsumers, "0", "-1");
  await until(async () => {
    // A process that does not beat any more: seen from outside, its consumer's time is over.
    await commands.call("ZADD", inboxConsumers, "XX", "1", member);
    return (await deliveries(bob, id)) === 2;
  });
  expect(payloads(await again)).toEqual([1]);
  await inbox.return?.();
  await until(async () => (await commands.zcard(inboxConsumers)) === 0);
});

test("an agent that leaves ends the consumers of its shared inbox", async () => {
  await using bob = await startFreshMessages(redis.store);
  const inbox = await bob.inbox({ mode: "shared", prefetch: 10 });
  const next = expect(take(inbox, 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await bob.agents.unregister("bob");
  await next;
});

async function ack(bob: FreshMessages, ...ids: (string | undefined)[]): Promise<number> {
  const { acked } = await bob.port.ack({ agent_id: "bob", ids: ids.filter((id) => id !== undefined) });
  return acked;
}

function payloads(entries: readonly Entry<Message>[]): unknown[] {
  return entries.map(({ event }) => event.payload);
}

async function deliveries(bob: FreshMessages, id: string): Promise<number> {
  const fact = await redis.store.commands.hget(bob.fresh.keys.inboxFacts("bob"), id);
  return Number(fact?.split(" ")[1]);
}
