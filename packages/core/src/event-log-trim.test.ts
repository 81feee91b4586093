import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startHistoryTrim, trimByAge } from "./event-log-trim.ts";
import { channels } from "./redis/keys.ts";
import { startFreshLog, take } from "./testing/fresh-log.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";

const hour = 3_600_000;
let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("events that are too old are removed from the start of a channel, and no others", async () => {
  await using fresh = startFreshLog(redis.store);
  await Promise.all(
    Array.from({ length: 100 }, (_, n) =>
      fresh.log.append({ event: { n, timestamp: hoursAgo(n < 70 ? 3 : 1) }, channels: [channels.firehose] }),
    ),
  );
  // From several processes at once.
  const removed = await Promise.all([1, 2, 3].map(() => trimByAge({ store: redis.store, maxAgeMs: 2 * hour })));
  expect(removed.reduce((sum, count) => sum + count, 0)).toBe(70);
  const { entries } = await fresh.log.page<{ n: number }>(channels.firehose, { limit: 500 });
  expect(entries.map(({ event }) => event.n)).toEqual(Array.from({ length: 30 }, (_, i) => 70 + i));
});

test("a channel that is emptied goes on with its numbers, and one that nobody writes to again is deleted", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys } = fresh;
  const names = [channels.inbox("bob"), channels.run("r1"), channels.run("r2")];
  await log.append({ event: { n: 1, timestamp: hoursAgo(3) }, channels: names });
  const follows = [channels.inbox("bob"), channels.run("r2")].map(async (name) => {
    const follow = (await log.follow<{ n: number }>(name))[Symbol.asyncIterator]();
    await take(follow, 1);
    return follow;
  });
  const [inbox, followedRun] = await Promise.all(follows);
  expect(await trimByAge({ store: redis.store, maxAgeMs: 2 * hour })).toBe(3);
  const { commands } = redis.store;
  expect(await Promise.all(names.map((name) => commands.exists(keys.channel(name))))).toEqual([1, 0, 1]);

  await log.append({ event: { n: 2, timestamp: hoursAgo(0) }, channels: names });
  for (const follow of [inbox, followedRun]) {
    expect((await follow?.next())?.value?.event.n).toBe(2);
    await follow?.return?.();
  }
});

test("other streams in the same Redis are left alone", async () => {
  const { commands, keys } = redis.store;
  const others = [keys.tenant("t").ways.messages, keys.tenant("t").ways.spawn, "somebody:else"];
  for (const key of others) await commands.xadd(key, "1-1", "e", "{}");
  await trimByAge({ store: redis.store, maxAgeMs: 0 });
  expect(await Promise.all(others.map((key) => commands.xlen(key)))).toEqual([1, 1, 1]);
});

test("the periodic trim goes on until it is disposed", async () => {
  await using fresh = startFreshLog(redis.store);
  const trim = startHistoryTrim({ store: redis.store, maxAgeMs: hour, intervalMs: 1, logger: silentLogger });
  for (const _ of [1, 2]) {
    await fresh.log.append({ event: { timestamp: hoursAgo(2) }, channels: [channels.firehose] });
    await until(async () => (await redis.store.commands.xlen(fresh.keys.channel(channels.firehose))) === 0);
  }
  await trim[Symbol.asyncDispose]();
  await fresh.log.append({ event: { timestamp: hoursAgo(2) }, channels: [channels.firehose] });
  expect(await redis.store.commands.xlen(fresh.keys.channel(channels.firehose))).toBe(1);
});

function hoursAgo(hours: number): string {
  return new Date(Date.now() - hours * hour).toISOString();
}
