import type { StateEvent } from "@ksi/contract";
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { type Store, startStore } from "./redis/store.ts";
import { createState } from "./state.ts";
import { startStateSweep } from "./state-sweep.ts";
import { startFreshCore } from "./testing/fresh-core.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";
import { untilRedisTime } from "./testing/redis-time.ts";

let redis: FreshRedis;
/** Of other processes on the same Redis. */
let otherStores: Store[];
beforeAll(async () => {
  redis = await startFreshRedis();
  otherStores = await Promise.all([1, 2].map(() => startStore({ url: redis.url, logger: silentLogger })));
});
afterAll(async () => {
  for (const store of otherStores ?? []) await store.close();
  await redis?.[Symbol.asyncDispose]();
});

test("three processes that sweep tell each end exactly once, and leave nothing of what expired", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys, tenant } = fresh;
  const state = createState({ store: redis.store, log, tenant });
  const refs = Array.from({ length: 350 }, (_, i) => ({ namespace: `n${i % 3}`, key: `a b/${i} 😀` }));
  const set = await Promise.all(refs.map((ref) => state.set({ ...ref, value: 0, ttl_ms: 5 })));
  const kept = await state.set({ namespace: "n0", key: "kept", value: 0, ttl_ms: 600_000 });

  const sweeps = [redis.store, ...otherStores].map((store) =>
    startStateSweep({ store, log, tenant, logger: silentLogger, intervalMs: 1 }),
  );
  await until(async () => (await redis.store.commands.zcard(keys.stateExpiring)) === 1);
  await Promise.all(sweeps.map((sweep) => sweep.stop()));

  const told = (await readEvents(fresh)).filter(({ event_type }) => event_type === "state.deleted");
  const nameEach = (facts: readonly { namespace: string; key: string; version: number }[]) =>
    facts.map(({ namespace, key, version }) => `${namespace} ${key} ${version}`).sort();
  expect(nameEach(told.map(({ payload }) => payload))).toEqual(nameEach(set));
  for (const event of told) expect(event).toMatchObject({ source: "ksi", payload: { reason: "expired" } });
  for (const namespace of ["n0", "n1", "n2"]) {
    const { values, index } = keys.state(namespace);
    expect(await redis.store.commands.zrange(index, "0", "-1")).toEqual(namespace === "n0" ? ["kept"] : []);
    expect(await redis.store.commands.hlen(values)).toBe(namespace === "n0" ? 2 : 0);
  }
  expect(await state.get(kept)).toMatchObject({ version: kept.version });
});

test("a sweep goes on until nothing is due, and does not leave the rest for the next", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys, tenant } = fresh;
  const { commands } = redis.store;
  const state = createState({ store: redis.store, log, tenant });
  const names = Array.from({ length: 350 }, (_, i) => String(i));
  await Promise.all(names.map((key) => state.set({ namespace: "n", key, value: 0, ttl_ms: 1 })));
  const sweep = startStateSweep({ store: redis.store, log, tenant, logger: silentLogger, intervalMs: 1_500 });
  // A batch a time would take four times the interval.
  await until(async () => (await commands.zcard(keys.stateExpiring)) === 0, { deadlineMs: 5_000 });
  await sweep.stop();
});

test("a note of an end that is not true is mended and tells nothing", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys, tenant } = fresh;
  const { commands } = redis.store;
  const state = createState({ store: redis.store, log, tenant });
  await state.set({ namespace: "n", key: "for ever", value: 0 });
  const later = await state.set({ namespace: "n", key: "later", value: 0, ttl_ms: 600_000 });
  await commands.zadd(keys.stateExpiring, 1, "n for ever", 1, "n later", 1, "n nothing");
  const sweep = startStateSweep({ store: redis.store, log, tenant, logger: silentLogger, intervalMs: 1 });
  await until(async () => (await commands.zcount(keys.stateExpiring, "-inf", "1")) === 0);
  await sweep.stop();
  const expiresMs = String(Date.parse(later.expires_at ?? ""));
  expect(await commands.zrange(keys.stateExpiring, "0", "-1", "WITHSCORES")).toEqual(["n later", expiresMs]);
  expect((await state.list({ namespace: "n", limit: 9 })).entries).toHaveLength(2);
  expect((await readEvents(fresh)).map(({ event_type }) => event_type)).toEqual(["state.set", "state.set"]);
});

test("a core sweeps by itself, and its followers hear of the end", async () => {
  await using fresh = await startFreshCore();
  const { state, events } = fresh.ports;
  const follow = await events.subscribe({ types: ["state.deleted"] }, {});
  const { version } = await state.set({ namespace: "n", key: "k", value: 0, ttl_ms: 20 });
  for await (const { event } of follow) {
    expect(event).toMatchObject({
      event_type: "state.deleted",
      payload: { namespace: "n", key: "k", version, reason: "expired" },
    });
    break;
  }
  await fresh.core.close();
  const { expires_at = "" } = await state.set({ namespace: "n", key: "k", value: 0, ttl_ms: 1 });
  // A sweep has had its time by then.
  await untilRedisTime(fresh.store, new Date(Date.parse(expires_at) + 1_500).toISOString());
  const { commands, keys } = fresh.store;
  expect(await commands.zcard(keys.tenant().stateExpiring)).toBe(1);
});

async function readEvents({ log }: FreshLog): Promise<StateEvent[]> {
  const { entries } = await log.page<StateEvent>(channels.firehose, { limit: 10_000 });
  return entries.map(({ event }) => event);
}
