import type { StatePort } from "@ksi/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createState } from "./state.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";
import { untilRedisTime } from "./testing/redis-time.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
});

/** In the order of their UTF-8 bytes, which is not that of JavaScript: it puts the last two the other way round. */
const odd = ["*", "[a]?", "a", "a b", "a%2Fb", "a/", "a/b", "a/b/c", "ab", "é", "日本", "\ufffd", "😀"];

test("a list is in order of bytes and in pages, whatever the keys are made of", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  for (const key of odd.toReversed()) await state.set({ namespace: "n", key, value: key });
  for (const limit of [1, 3, odd.length, 500]) expect(await listKeys(state, { limit })).toEqual(odd);
  expect((await state.list({ namespace: "n", limit: odd.length })).next).toBeUndefined();
  const { entries } = await state.list({ namespace: "n", limit: 1 });
  expect(entries).toEqual([{ namespace: "n", key: "*", version: odd.length, updated_at: expect.any(String) }]);
});

test("a list of a prefix has what begins with it and nothing else", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  for (const key of odd) await state.set({ namespace: "n", key, value: 0 });
  for (const prefix of ["", "a", "a/", "*", "[a]", "日", "😀", "nothing", "\ud83d", "\ufffd"]) {
    const expected = odd.filter((key) => prefix.isWellFormed() && key.startsWith(prefix));
    expect([prefix, await listKeys(state, { prefix, limit: 2 })]).toEqual([prefix, expected]);
  }
  const after = async (place: string) =>
    (await state.list({ namespace: "n", prefix: "a/", after: place, limit: 9 })).entries;
  expect(await after("*")).toHaveLength(3);
  expect(await after("b")).toEqual([]);
});

test("a list goes on behind any number of keys that have expired and are not removed yet", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  const gone = Array.from({ length: 2_500 }, (_, i) => `gone ${i}`);
  const set = await Promise.all(gone.map((key) => state.set({ namespace: "n", key, value: 0, ttl_ms: 1 })));
  await untilRedisTime(
    redis.store,
    set
      .map(({ expires_at = "" }) => expires_at)
      .sort()
      .at(-1),
  );
  const live = ["first", "gone 1a", "zebra 1", "zebra 2"];
  for (const key of live) await state.set({ namespace: "n", key, value: 0 });
  expect(await redis.store.commands.zcard(fresh.keys.state("n").index)).toBe(gone.length + live.length);
  for (const limit of [1, 2, 4, 500]) expect(await listKeys(state, { limit })).toEqual(live);
  expect(await listKeys(state, { prefix: "gone", limit: 3 })).toEqual(["gone 1a"]);
});

test("a list does not read the values", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  await state.set({ namespace: "n", key: "k", value: 1 });
  await redis.store.commands.hset(fresh.keys.state("n").values, "vk", "no JSON at all");
  expect(await listKeys(state, { limit: 1 })).toEqual(["k"]);
});

function openState({ log, tenant }: FreshLog): StatePort {
  return createState({ store: redis.store, log, tenant });
}

async function listKeys(state: StatePort, input: { prefix?: string; limit: number }): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await state.list({ ...input, namespace: "n", after });
    expect(page.entries.length).toBeLessThanOrEqual(input.limit);
    keys.push(...page.entries.map(({ key }) => key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}
