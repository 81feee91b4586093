import { type Json, limits, type StateEvent, type StatePort, schemas } from "@ksi/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { type Store, startStore } from "./redis/store.ts";
import { createState } from "./state.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";
import { untilRedisTime } from "./testing/redis-time.ts";

let redis: FreshRedis;
/** Of another process on the same Redis. */
let otherStore: Store;
beforeAll(async () => {
  redis = await startFreshRedis();
  otherStore = await startStore({ url: redis.url, logger: silentLogger });
});
afterAll(async () => {
  await otherStore?.close();
  await redis?.[Symbol.asyncDispose]();
});

test("a value that is set is there with its version, and is not when it was deleted", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  const ref = { namespace: "plan", key: "step" };
  const set = await state.set({ ...ref, value: { n: 1 } });
  expect(set).toEqual({ status: "set", ...ref, version: 1, updated_at: expect.any(String) });
  const { status: _, ...facts } = set;
  expect(await state.get(ref)).toEqual({ ...facts, value: { n: 1 } });
  expect(schemas.stateEntry.safeParse(await state.get(ref)).success).toBe(true);

  expect(await state.delete(ref)).toEqual({ status: "deleted", ...ref });
  for (const call of [state.get(ref), state.delete(ref), state.delete({ ...ref, if_version: 1 })]) {
    await expect(call).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining('"step"') });
  }
  expect(await state.list({ namespace: "plan", limit: 10 })).toEqual({ entries: [] });
});

test("each change is told on the firehose, with who made it, and what changed nothing is not", async () => {
  await using fresh = startFreshLog(redis.store);
  const state = openState(fresh);
  const ref = { namespace: "plan", key: 'a/"ß" \\ 😀' };
  await state.set({ ...ref, value: 1 });
  await state.set({ ...ref, value: 2, source: "bob" });
  await expect(state.set({ ...ref, value: 3, if_version: 1 })).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(state.delete({ ...ref, if_version: 1 })).rejects.toMatchObject({ code: "CONFLICT" });
  await state.delete({ ...ref, if_version: 2, source: "alice" });
  await expect(state.delete(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const header = { id: expect.any(String), timestamp: expect.any(String) };
  expect(await readEvents(fresh)).toEqual([
    { ...header, event_type: "state.set", source: "ksi", payload: { ...ref, version: 1 } },
    { ...header, event_type: "state.set", source: "bob", payload: { ...ref, version: 2 } },
    { ...header, event_type: "state.deleted", source: "alice", payload: { ...ref, version: 2, reason: "deleted" } },
  ]);
});

describe("compare-and-set", () => {
  test("changes only the version that was named, and else tells which it is and what to do", async () => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const ref = { namespace: "plan", key: "step" };
    const isConflict = (version: number, word: string) => ({
      code: "CONFLICT",
      details: { version },
      message: expect.stringContaining(word),
    });
    await expect(state.set({ ...ref, value: 0, if_version: 7 })).rejects.toMatchObject(
      isConflict(0, "With if_version 0"),
    );
    expect(await state.set({ ...ref, value: 1, if_version: 0 })).toMatchObject({ version: 1 });
    await expect(state.set({ ...ref, value: 2, if_version: 0 })).rejects.toMatchObject(
      isConflict(1, "is there already, with version 1"),
    );
    expect(await state.set({ ...ref, value: 3, if_version: 1 })).toMatchObject({ version: 2 });
    await expect(state.set({ ...ref, value: 4, if_version: 1 })).rejects.toMatchObject(isConflict(2, "if_version 2"));
    await expect(state.delete({ ...ref, if_version: 1 })).rejects.toMatchObject(isConflict(2, "if_version 2"));
    expect(await state.get(ref)).toMatchObject({ version: 2, value: 3 });
    await state.delete({ ...ref, if_version: 2 });
  });

  test("a key that is deleted and set again has a version that it never had", async () => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const ref = { namespace: "plan", key: "step" };
    const versions: number[] = [];
    for (let i = 0; i < 3; i++) {
      versions.push((await state.set({ ...ref, value: i, if_version: 0 })).version);
      await state.delete(ref);
    }
    expect(versions).toEqual([1, 2, 3]);
    await expect(state.set({ ...ref, value: 0, if_version: 3 })).rejects.toMatchObject({ details: { version: 0 } });
  });

  test("50 writers in two processes lose none of 1,000 increments, and no version is given twice", async () => {
    await using here = startFreshLog(redis.store);
    await using there = startFreshLog(otherStore, { tenant: here.tenant });
    const ref = { namespace: "shared", key: "counter" };
    const states = [openState(here), openState(there, otherStore)];
    const versions: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const state = states[i % 2] ?? raise();
        for (let n = 0; n < 20; n++) versions.push(await increment(state, ref));
      }),
    );
    expect(await states[0]?.get(ref)).toMatchObject({ value: 1_000, version: Math.max(...versions) });
    const told = (await readEvents(here)).map(({ payload }) => payload.version);
    expect(told).toHaveLength(1_000);
    expect(told).toEqual([...versions].sort((a, b) => a - b));
    expect(told.every((version, i) => version > (told[i - 1] ?? 0))).toBe(true);
    // Of all that try at the same time one gets on, so this takes long where the machine is busy.
  }, 120_000);
});

describe("a time to live", () => {
  test("a key whose time is over is absent for every call, though it was not removed yet", async () => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const ref = { namespace: "plan", key: "step" };
    const set = await state.set({ ...ref, value: 1, ttl_ms: 300 });
    expect(Date.parse(set.expires_at ?? "") - Date.parse(set.updated_at)).toBe(300);
    expect(await state.get(ref)).toMatchObject({ expires_at: set.expires_at });
    await untilRedisTime(redis.store, set.expires_at);

    const raw = await redis.store.commands.hvals(fresh.keys.state("plan").values);
    expect(raw).toContain("1");
    await expect(state.get(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await state.list({ namespace: "plan", limit: 10 })).toEqual({ entries: [] });
    await expect(state.set({ ...ref, value: 2, if_version: 1 })).rejects.toMatchObject({ details: { version: 0 } });
    expect(await state.set({ ...ref, value: 2, if_version: 0 })).toMatchObject({ version: 2 });
  });

  test.for([
    ["set", (state: StatePort) => state.set({ namespace: "plan", key: "step", value: 2 })],
    ["refused", (state: StatePort) => state.set({ namespace: "plan", key: "step", value: 2, if_version: 9 })],
    ["deleted", (state: StatePort) => state.delete({ namespace: "plan", key: "step" })],
  ] as const)("the end of a key that is %s before anybody else noticed is told first, and once", async ([, change]) => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const { expires_at } = await state.set({ namespace: "plan", key: "step", value: 1, ttl_ms: 1 });
    await untilRedisTime(redis.store, expires_at);
    for (let i = 0; i < 2; i++) await change(state).catch(() => undefined);
    const events = (await readEvents(fresh)).map(({ event_type, source, payload }) => ({
      event_type,
      source,
      ...payload,
    }));
    expect(events[1]).toMatchObject({ event_type: "state.deleted", source: "ksi", version: 1, reason: "expired" });
    expect(events.filter((event) => event.event_type === "state.deleted")).toHaveLength(1);
    expect(await redis.store.commands.zcard(fresh.keys.stateExpiring)).toBe(0);
  });

  test("setting a key again replaces its end, by none or by another", async () => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const ref = { namespace: "plan", key: "step" };
    const first = await state.set({ ...ref, value: 1, ttl_ms: 50 });
    const second = await state.set({ ...ref, value: 2 });
    expect(second).not.toHaveProperty("expires_at");
    expect(await redis.store.commands.zcard(fresh.keys.stateExpiring)).toBe(0);
    await untilRedisTime(redis.store, first.expires_at);
    expect(await state.get(ref)).toMatchObject({ value: 2 });
    const third = await state.set({ ...ref, value: 3, ttl_ms: limits.ttlMsMax });
    expect(Date.parse(third.expires_at ?? "") - Date.parse(third.updated_at)).toBe(limits.ttlMsMax);
    const fourth = await state.set({ ...ref, value: 4, ttl_ms: 1 });
    await untilRedisTime(redis.store, fourth.expires_at);
    await expect(state.get(ref)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("values", () => {
  const nested = (pairs: number) => `${'[{"a":'.repeat(pairs)}[[]]${"}]".repeat(pairs)}`;
  test.for([
    "[]",
    "{}",
    '""',
    "null",
    "false",
    "0",
    '{"a":[],"b":{},"c":[[]],"d":null,"":[{}]}',
    "[1.5e-7,1e+308,5e-324,9007199254740991,12345678901234567000,0.1]",
    '"\\u0000\\n\\\\\\"/ \u2028 é 日本 😀 \\ud800"',
    nested(limits.jsonDepth / 2 - 1),
  ])("%s is given back as it was", async (text) => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const value = JSON.parse(text) as Json;
    const { value: accepted } = schemas.stateSetInput.parse({ namespace: "a", key: "b", value });
    await state.set({ namespace: "a", key: "b", value: accepted });
    const entry = schemas.stateEntry.parse(await state.get({ namespace: "a", key: "b" }));
    expect(JSON.stringify(entry.value)).toBe(text);
  });

  test.for(["a", "é", "日", "😀"])("256 kB of %s are taken, and one byte more is refused", async (character) => {
    await using fresh = startFreshLog(redis.store);
    const state = openState(fresh);
    const bytes = Buffer.byteLength(character);
    const room = limits.payloadBytes - '""'.length;
    const full = "x".repeat(room % bytes) + character.repeat(Math.floor(room / bytes));
    const input = schemas.stateSetInput.parse({ namespace: "a", key: "b", value: full });
    await state.set(input);
    expect((await state.get({ namespace: "a", key: "b" })).value).toBe(full);
    expect(schemas.stateSetInput.safeParse({ ...input, value: `${full}x` }).error?.issues).toMatchObject([
      { path: ["value"], message: `must be at most ${limits.payloadBytes} bytes of JSON` },
    ]);
  });

  test("a number that JSON cannot hold, a value nested too deep, and one that is left out are refused", () => {
    const ref = { namespace: "a", key: "b" };
    for (const input of [
      ...["1e400", nested(limits.jsonDepth / 2)].map((text) => ({ ...ref, value: JSON.parse(text) })),
      ref,
    ]) {
      expect(schemas.stateSetInput.safeParse(input).error?.issues).toMatchObject([{ path: ["value"] }]);
    }
  });
});

test("tenants and namespaces do not see each other's keys", async () => {
  await using mine = startFreshLog(redis.store);
  await using theirs = startFreshLog(redis.store);
  const state = openState(mine);
  for (const namespace of ["a", "a:b", "a.values"]) await state.set({ namespace, key: "k", value: namespace });
  for (const namespace of ["a", "a:b", "a.values"]) {
    expect(await state.get({ namespace, key: "k" })).toMatchObject({ value: namespace });
    expect((await state.list({ namespace, limit: 9 })).entries).toHaveLength(1);
  }
  await state.delete({ namespace: "a", key: "k" });
  expect(await state.get({ namespace: "a:b", key: "k" })).toMatchObject({ value: "a:b" });

  const other = openState(theirs);
  await expect(other.get({ namespace: "a:b", key: "k" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await other.set({ namespace: "a:b", key: "k", value: 0, if_version: 0 })).toMatchObject({ version: 1 });
  expect(await other.list({ namespace: "a", limit: 9 })).toEqual({ entries: [] });
  expect(await readEvents(theirs)).toHaveLength(1);
});

function openState({ log, tenant }: FreshLog, store: Store = redis.store): StatePort {
  return createState({ store, log, tenant });
}

/** Adds one to a number by compare-and-set, again and again until nobody came between. Gives the new version. */
async function increment(state: StatePort, ref: { namespace: string; key: string }): Promise<number> {
  for (;;) {
    const { value, version: if_version } = await state.get(ref).catch(() => ({ value: 0, version: 0 }));
    try {
      return (await state.set({ ...ref, value: Number(value) + 1, if_version })).version;
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "CONFLICT" });
    }
  }
}

async function readEvents({ log }: FreshLog): Promise<StateEvent[]> {
  const { entries } = await log.page<StateEvent>(channels.firehose, { limit: 10_000 });
  return entries.map(({ event }) => event);
}

function raise(): never {
  throw new Error("unreachable");
}
