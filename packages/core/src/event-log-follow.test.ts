import { getEventListeners } from "node:events";
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createChannelHub } from "./channel-hub.ts";
import type { EventLog } from "./event-log.ts";
import { createFollow } from "./event-log-follow.ts";
import { type ChannelReader, createChannelReader } from "./event-log-reader.ts";
import { startFreshLog, take } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

interface Numbered {
  n: number;
  text?: string;
}

const channel = "numbers";
let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("a follow delivers what is kept and then what comes", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 500);
  const entries = iterate(await fresh.log.follow<Numbered>(channel));
  expect(numbersOf(await take(entries, 500))).toEqual(range(1, 500));
  await append(fresh.log, 501, 700);
  expect(numbersOf(await take(entries, 200))).toEqual(range(501, 700));
  await entries.return?.();
});

test("a follow from now misses nothing that is appended before it is iterated", async () => {
  await using fresh = startFreshLog(redis.store);
  const early = await fresh.log.follow<Numbered>(channel, { from: "now" });
  await append(fresh.log, 1, 3);
  const late = await fresh.log.follow<Numbered>(channel, { from: "now" });
  await append(fresh.log, 4, 5);
  expect(numbersOf(await take(iterate(early), 5))).toEqual([1, 2, 3, 4, 5]);
  expect(numbersOf(await take(iterate(late), 2))).toEqual([4, 5]);
});

test("a follow goes on directly after its cursor", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 5);
  const { entries } = await fresh.log.page<Numbered>(channel, { limit: 10 });
  for (const [i, { cursor }] of entries.entries()) {
    const follow = iterate(await fresh.log.follow<Numbered>(channel, { after: cursor, from: "now" }));
    const rest = range(i + 2, 5);
    expect(numbersOf(await take(follow, rest.length))).toEqual(rest);
    await follow.return?.();
  }
});

test("followers share one subscription and one parsed, frozen event", async () => {
  await using fresh = startFreshLog(redis.store);
  const key = fresh.keys.channel(channel);
  const follows = await Promise.all([1, 2, 3].map(() => fresh.log.follow<Numbered>(channel, { from: "now" })));
  const iterators = follows.map(iterate);
  const pending = iterators.map((iterator) => iterator.next());
  await until(async () => (await countSubscribers(key)) === 1);
  await append(fresh.log, 1, 1);
  await Promise.all(pending);
  await append(fresh.log, 2, 2);
  const seconds = await Promise.all(iterators.map((iterator) => iterator.next()));
  const [first, ...others] = seconds.map(({ value }) => value?.event);
  expect(others.every((event) => event === first)).toBe(true);
  expect(Object.isFrozen(first)).toBe(true);
  expect(seconds[0]?.value?.json).toBe('{"n":2}');

  await iterators[0]?.return?.();
  await iterators[1]?.return?.();
  expect(await countSubscribers(key)).toBe(1);
  await iterators[2]?.return?.();
  await until(async () => (await countSubscribers(key)) === 0, { message: "unsubscribed with the last follower" });
});

test("a signal ends the follow quietly and leaves nothing behind", async () => {
  await using fresh = startFreshLog(redis.store);
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = () => getEventListeners(signal, "abort").length;
  const follow = await fresh.log.follow<Numbered>(channel, { signal });
  const received: number[] = [];
  const reading = (async () => {
    for await (const { event } of follow) received.push(event.n);
  })();
  await append(fresh.log, 1, 2);
  await until(() => received.length === 2);
  expect(listeners()).toBe(1);
  controller.abort();
  await reading;
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 0);
  expect(listeners()).toBe(0);

  const late = await fresh.log.follow<Numbered>(channel, { signal });
  expect(await iterate(late).next()).toEqual({ done: true, value: undefined });
  expect(listeners()).toBe(0);
});

test("leaving the loop ends the follow, also while it waits for an event", async () => {
  await using fresh = startFreshLog(redis.store);
  const controller = new AbortController();
  const listeners = () => getEventListeners(controller.signal, "abort").length;
  await append(fresh.log, 1, 3);
  for await (const { event } of await fresh.log.follow<Numbered>(channel, { signal: controller.signal })) {
    if (event.n === 2) break;
  }
  expect(listeners()).toBe(0);
  const waiting = iterate(await fresh.log.follow<Numbered>(channel, { from: "now" }));
  const next = waiting.next();
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 1);
  await waiting.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 0);
});

test("a follow is iterated once", async () => {
  await using fresh = startFreshLog(redis.store);
  const follow = await fresh.log.follow(channel);
  iterate(follow);
  expect(() => iterate(follow)).toThrow(/once/);
});

test("a follow passes over what it does not accept and ends after the last event", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 10);
  const isLast = (event: Numbered) => event.n === 7;
  const numbers: number[] = [];
  let last = "";
  for await (const entry of await fresh.log.follow<Numbered>(channel, {
    accept: ({ event }) => event.n % 2 === 1,
    isLast,
  })) {
    numbers.push(entry.event.n);
    last = entry.cursor;
  }
  expect(numbers).toEqual([1, 3, 5, 7]);

  const again = iterate(await fresh.log.follow<Numbered>(channel, { after: last, isLast }));
  expect(await again.next()).toEqual({ done: true, value: undefined });
});

test("a follower that is slower than the channel reads the stream and loses nothing", async () => {
  await using fresh = startFreshLog(redis.store);
  const follow = iterate(await fresh.log.follow<Numbered>(channel, { from: "now" }));
  const first = follow.next();
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 1);
  // More than the queue holds, by count and by bytes, while nobody reads.
  await append(fresh.log, 1, 3_000);
  await append(fresh.log, 3_001, 3_100, "x".repeat(100_000));
  const rest = await take(follow, 3_099);
  expect([(await first).value?.event.n, ...numbersOf(rest)]).toEqual(range(1, 3_100));
  await append(fresh.log, 3_101, 3_102);
  expect(numbersOf(await take(follow, 2))).toEqual([3_101, 3_102]);
  await follow.return?.();
});

test("an event that is published while a page is on its way is delivered once", async () => {
  await using fresh = startFreshLog(redis.store);
  const key = fresh.keys.channel(channel);
  const hub = createChannelHub({ connect: () => redis.store.connect("hub", "subscriber") });
  const heard: string[] = [];
  const ignore = () => undefined;
  await hub.join(key, {
    onEntries: (entries) => void heard.push(...entries.map(({ json }) => json)),
    onRestored: ignore,
    onDismissed: ignore,
  }).joined;
  const real = createChannelReader(redis.store.commands, fresh.keys);
  const reader: ChannelReader = {
    ...real,
    async read<E>(...args: Parameters<ChannelReader["read"]>) {
      const page = await real.read<E>(...args);
      await append(fresh.log, 1, 1);
      await until(() => heard.length === 1);
      return page;
    },
  };
  const follow = iterate(createFollow<Numbered>({ channel, key, place: "oldest", hub, reader }));
  expect((await take(follow, 1))[0]?.event.n).toBe(1);
  await append(fresh.log, 2, 3);
  expect(numbersOf(await take(follow, 2))).toEqual([2, 3]);
  await follow.return?.();
  hub.close();
});

test("what one process appends reaches the followers of another", async () => {
  await using here = startFreshLog(redis.store);
  await using there = startFreshLog(redis.store, { tenant: here.tenant });
  const follow = iterate(await there.log.follow<Numbered>(channel));
  const reading = take(follow, 400);
  await Promise.all([append(here.log, 1, 200), append(there.log, 1_001, 1_200)]);
  const numbers = numbersOf(await reading);
  expect(numbers.filter((n) => n <= 1_000)).toEqual(range(1, 200));
  expect(numbers.filter((n) => n > 1_000)).toEqual(range(1_001, 1_200));
  await follow.return?.();
});

test("a cursor whose next event was trimmed is a gap that says where one can go on", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 10);
  const { entries } = await fresh.log.page<Numbered>(channel, { limit: 10 });
  const kept = entries[4];
  await redis.store.commands.xtrim(fresh.keys.channel(channel), "MINID", kept?.cursor.replace(".", "-") ?? "");

  const gap = { code: "HISTORY_TRIMMED", details: { reason: "trimmed", oldest: entries[3]?.cursor } };
  await expect(fresh.log.follow(channel, { after: entries[2]?.cursor })).rejects.toMatchObject(gap);
  await expect(fresh.log.page(channel, { after: entries[2]?.cursor, limit: 5 })).rejects.toMatchObject(gap);
  // Exactly the last one that is gone: nothing is lost.
  const follow = iterate(await fresh.log.follow<Numbered>(channel, { after: entries[3]?.cursor }));
  expect(numbersOf(await take(follow, 6))).toEqual(range(5, 10));
  await follow.return?.();
});

test("a channel that was trimmed empty is a gap for all but those who had read it", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 3);
  const { entries } = await fresh.log.page<Numbered>(channel, { limit: 10 });
  const live = iterate(await fresh.log.follow<Numbered>(channel));
  await take(live, 3);
  await redis.store.commands.xtrim(fresh.keys.channel(channel), "MAXLEN", 0);

  await expect(fresh.log.follow(channel, { after: entries[1]?.cursor })).rejects.toMatchObject({
    details: { reason: "trimmed", oldest: entries[2]?.cursor },
  });
  const resumed = iterate(await fresh.log.follow<Numbered>(channel, { after: entries[2]?.cursor }));
  const oldest = iterate(await fresh.log.follow<Numbered>(channel));
  const pending = [live, resumed, oldest].map((follow) => take(follow, 1));
  await append(fresh.log, 4, 4);
  expect((await Promise.all(pending)).map(numbersOf)).toEqual([[4], [4], [4]]);
});

test("a follower that was too slow for the cap meets the gap after what it had", async () => {
  await using fresh = startFreshLog(redis.store, { maxEvents: 100 });
  const follow = iterate(await fresh.log.follow<Numbered>(channel, { from: "now" }));
  const first = follow.next();
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 1);
  await append(fresh.log, 1, 1);
  expect((await first).value?.event.n).toBe(1);
  await append(fresh.log, 2, 3_000);
  await expect(take(follow, 2_999)).rejects.toMatchObject({
    code: "HISTORY_TRIMMED",
    details: { reason: "trimmed", oldest: expect.stringMatching(/^\d+\.\d+$/) },
  });
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 0);
});

test("a cursor of another epoch, of the future or of nowhere is a change of epoch", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 2);
  const { entries } = await fresh.log.page<Numbered>(channel, { limit: 10 });
  const { epoch = 0, number = 0 } = entries[0]?.position ?? {};
  const oldest = `${epoch}.${number - 1}`;
  const foreign = [`${epoch - 1}.${number}`, `${epoch + 1}.${number}`, `${epoch}.${number + 2}`, `1.${"9".repeat(40)}`];
  for (const after of foreign) {
    await expect(fresh.log.follow(channel, { after })).rejects.toMatchObject({
      code: "HISTORY_TRIMMED",
      details: { reason: "epoch_changed", oldest },
    });
  }
  const follow = iterate(await fresh.log.follow<Numbered>(channel, { after: oldest }));
  expect(numbersOf(await take(follow, 2))).toEqual([1, 2]);
  await follow.return?.();
  await expect(fresh.log.follow("never-written", { after: entries[0]?.cursor })).rejects.toMatchObject({
    details: { reason: "trimmed" },
  });
});

test("a new epoch on a kept channel is met as a gap, and can be followed from its beginning", async () => {
  await using fresh = startFreshLog(redis.store);
  await append(fresh.log, 1, 2);
  const live = iterate(await fresh.log.follow<Numbered>(channel));
  await take(live, 2);
  const epoch = Number(await redis.store.commands.get(fresh.keys.epoch)) + 1;
  await redis.store.commands.set(fresh.keys.epoch, epoch);
  const gap = { details: { reason: "epoch_changed", oldest: expect.stringMatching(`^${epoch}.`) } };
  const pending = expect(live.next()).rejects.toMatchObject(gap);
  await append(fresh.log, 3, 4);
  await pending;

  const { entries, next } = await fresh.log.page<Numbered>(channel, { limit: 10 });
  expect(numbersOf(entries)).toEqual([1, 2]);
  const thrown = await fresh.log.page<Numbered>(channel, { after: next, limit: 10 }).catch((error: unknown) => error);
  expect(thrown).toMatchObject(gap);
  const { oldest } = (thrown as { details: { oldest: string } }).details;
  const rest = await fresh.log.page<Numbered>(channel, { after: oldest, limit: 10 });
  expect(numbersOf(rest.entries)).toEqual([3, 4]);
});

test("a channel that is new, and was trimmed before the follower came to read it, is a gap", async () => {
  await using fresh = startFreshLog(redis.store, { maxEvents: 100 });
  const follow = await fresh.log.follow<Numbered>(channel, { from: "now" });
  await append(fresh.log, 1, 1_000);
  await expect(iterate(follow).next()).rejects.toMatchObject({ details: { reason: "trimmed" } });
});

test("a message that is none of ours on a channel harms nobody", async () => {
  await using fresh = startFreshLog(redis.store);
  const follow = iterate(await fresh.log.follow<Numbered>(channel));
  const first = follow.next();
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 1);
  await redis.store.commands.publish(fresh.keys.channel(channel), "hello");
  await append(fresh.log, 1, 2);
  expect([(await first).value?.event.n, ...numbersOf(await take(follow, 1))]).toEqual([1, 2]);
  await follow.return?.();
});

test("closing the log ends its follows with SHUTTING_DOWN", async () => {
  await using fresh = startFreshLog(redis.store);
  const follow = iterate(await fresh.log.follow<Numbered>(channel));
  const next = expect(follow.next()).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
  await until(async () => (await countSubscribers(fresh.keys.channel(channel))) === 1);
  await fresh.logs.close();
  await next;
  const late = await fresh.log.follow<Numbered>(channel);
  await expect(iterate(late).next()).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
});

async function append(log: EventLog, from: number, to: number, text?: string): Promise<void> {
  await Promise.all(range(from, to).map((n) => log.append({ event: { n, text }, channels: [channel] })));
}

function iterate<T>(iterable: { [Symbol.asyncIterator](): T }): T {
  return iterable[Symbol.asyncIterator]();
}

function numbersOf(entries: readonly { event: Numbered }[]): number[] {
  return entries.map(({ event }) => event.n);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function countSubscribers(key: string): Promise<number> {
  const [, count] = (await redis.store.commands.pubsub("NUMSUB", key)) as [string, number];
  return count;
}
