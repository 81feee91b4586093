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
  await agents.register({ agent_id: "bob", capabilities: [] });
  await until(() => manual.turns[0]);

  expect(await system.status()).toMatchObject({
    status: "healthy",
    version: "0.0.0-test",
    default_model: "echo",
    agents: 1,
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
  expect(await fresh.core.health()).toEqual({ status: "unavailable", version: "0.0.0-test" });
});
