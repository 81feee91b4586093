import { expect, test } from "vitest";
import { createState } from "./state.ts";
import { startFreshLog } from "./testing/fresh-log.ts";
import { startFreshRedis } from "./testing/fresh-redis.ts";

test("a version that a Redis without its tail has forgotten is given to nothing else", async () => {
  await using redis = await startFreshRedis();
  const store = { ...redis.store, mayLoseTail: true };
  await using fresh = startFreshLog(store);
  const { commands } = store;
  const { keys, tenant, log } = fresh;
  const state = createState({ store, log, tenant });
  const key = { namespace: "plans", key: "monday" };
  const kept = await state.set({ ...key, value: "kept" });
  const { values, index } = keys.state("plans");
  const names = [values, index, keys.stateVersion];
  const saved = await Promise.all(names.map((name) => commands.dumpBuffer(name)));
  const lost = await state.set({ ...key, value: "lost" });

  // As it comes back from what was written until then, with another replication id.
  for (const [i, name] of names.entries()) await commands.restore(name, 0, saved[i] ?? "", "REPLACE");
  const [epoch] = (await commands.get(keys.epoch))?.split(" ") ?? [];
  await commands.set(keys.epoch, `${epoch} ${"a".repeat(40)}`);

  expect(await state.get(key)).toMatchObject({ value: "kept", version: kept.version });
  const other = await state.set({ ...key, value: "other" });
  expect(other.version).toBeGreaterThan(lost.version);
  // Who read what was lost does not take the other value for it.
  await expect(state.set({ ...key, value: "next", if_version: lost.version })).rejects.toMatchObject({
    code: "CONFLICT",
    details: { version: other.version },
  });
  expect((await state.set({ ...key, value: "next", if_version: other.version })).version).toBe(other.version + 1);
});
