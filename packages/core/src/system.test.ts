import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner } from "./testing/manual-runner.ts";

test("the status counts what runs, what waits and who is registered", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs, agents, system } = fresh.ports;
  await fresh.startWorker({ concurrency: 1 });
  for (const prompt of ["1", "2"]) await runs.spawn({ ...spawnDefaults, prompt, model: "manual" });
  for (const agent_id of ["al", "bob"]) await agents.register({ agent_id });
  await fresh.store.commands.zrem(fresh.store.keys.tenant().onlineAgents, "al");
  await until(() => manual.turns[0]);

  expect(await system.status()).toMatchObject({
    status: "healthy",
    version: "0.0.0-test",
    default_model: "echo",
    agents: 2,
    agents_online: 1,
    active_processes: 1,
    queued: 1,
    redis_info: { mode: "embedded" },
    runners: [
      { name: "manual", available: true, models: ["manual"] },
      { name: "echo", available: true, models: ["echo"] },
    ],
  });
});

test("health says whether Redis answers, and never rejects", async () => {
  await using fresh = await startFreshCore();
  expect(await fresh.core.health()).toMatchObject({ status: "ok", redis_ping_ms: expect.any(Number) });
  await fresh.store.close();
  expect(await fresh.core.health()).toEqual({
    status: "unavailable",
    reason: "The connection to Redis is closed.",
    version: "0.0.0-test",
  });
});

test.for([
  { name: "out of memory", setting: ["maxmemory", "1"], reason: /out of memory/ },
  { name: "without its replicas", setting: ["min-replicas-to-write", "1"], reason: /too few replicas/ },
] as const)("health says why a Redis that is $name takes no writes, and writes nothing itself", async (fault) => {
  await using fresh = await startFreshCore();
  const { commands } = fresh.store;
  const writes = async () => /rdb_changes_since_last_save:(\d+)/.exec(await commands.info("persistence"))?.[1];
  const before = await writes();
  expect(await fresh.core.health()).toMatchObject({ status: "ok" });
  expect(await writes()).toBe(before);
  await commands.config("SET", ...fault.setting);
  expect(await fresh.core.health()).toMatchObject({
    status: "unavailable",
    reason: expect.stringMatching(fault.reason),
  });
});

test("health says that a replica takes no writes", async () => {
  await using fresh = await startFreshCore();
  await fresh.store.commands.replicaof("127.0.0.1", "1");
  expect(await fresh.core.health()).toMatchObject({
    status: "unavailable",
    reason: expect.stringContaining("read-only replica"),
  });
});
