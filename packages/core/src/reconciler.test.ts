import type { RunEvent } from "@ksi/contract";
import { until } from "@ksi/testing";
import { Worker as BareWorker } from "bullmq";
import { expect, test, vi } from "vitest";
import { channels } from "./redis/keys.ts";
import { createRunStore } from "./run-store.ts";
import { workerTtlMs } from "./silence.ts";
import { type FreshCore, spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner } from "./testing/manual-runner.ts";
import { startWorkerProcess } from "./testing/start-worker-process.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

/** Lets the models of the worker process be spawned here, where nothing executes them. */
function createNamesOnly() {
  const manual = createManualRunner();
  return { ...manual, models: ["before", "after"], serves: (model: string) => ["before", "after"].includes(model) };
}

test("a worker that is killed after the prompt was handed leaves a failed run, and its session goes on", async () => {
  await using fresh = await startFreshCore({ runners: [createNamesOnly()] });
  const { runs } = fresh.ports;
  await using worker = await startWorkerProcess(fresh.redis.url, fresh.folder);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "after", session_id });
  const next = await runs.spawn({ ...spawnDefaults, prompt: "then this", session_id });
  await until(() => hasEvent(fresh, run_id, "run.text"));

  worker.kill("SIGKILL");
  const run = await runs.result({ run_id, wait_ms: 10_000 });
  expect(run).toMatchObject({ status: "failed", error: { code: "WORKER_LOST" } });

  await fresh.startWorker();
  expect(await runs.result({ run_id: next.run_id, wait_ms: 12_000 })).toMatchObject({ status: "completed" });
  expect(await finalsOf(fresh, run_id)).toEqual(["run.failed"]);
});

test("a worker that is killed before the prompt was handed gives its run to another", async () => {
  const manual = createNamesOnly();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await using worker = await startWorkerProcess(fresh.redis.url, fresh.folder);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "before" });
  await until(async () => (await runs.get(run_id)).status === "running");

  worker.kill("SIGKILL");
  await fresh.startWorker();
  const [turn] = await until(() => manual.turns.length === 1 && manual.turns);
  turn?.complete("second attempt");
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });

  const events = await eventsOf(fresh, run_id);
  expect(events.map(({ event_type }) => event_type)).toEqual([
    "run.queued",
    "run.started",
    "run.requeued",
    "run.started",
    "run.completed",
  ]);
  expect(events[3]?.payload).toMatchObject({ attempt: 2 });
});

test("a worker that was stopped for too long writes nothing when it goes on", async () => {
  await using fresh = await startFreshCore({ runners: [createNamesOnly()] });
  const { runs } = fresh.ports;
  await using worker = await startWorkerProcess(fresh.redis.url, fresh.folder);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "after" });
  await until(() => hasEvent(fresh, run_id, "run.text"));

  worker.kill("SIGSTOP");
  expect(await runs.result({ run_id, wait_ms: 12_000 })).toMatchObject({ error: { code: "WORKER_LOST" } });
  const before = await eventsOf(fresh, run_id);
  worker.kill("SIGCONT");
  await until(() => worker.lines.some((line) => line.includes("no longer this worker's")));

  expect(await eventsOf(fresh, run_id)).toEqual(before);
  expect(before.at(-1)?.event_type).toBe("run.failed");
  // It lost that run, and is otherwise as good as before.
  const next = await runs.spawn({ ...spawnDefaults, prompt: "y" });
  expect(await runs.result({ run_id: next.run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
});

test("a process that did not run itself believes no worker dead until it has looked for long enough again", async () => {
  await using fresh = await startFreshCore({ runners: [createNamesOnly()] });
  const { runs } = fresh.ports;
  await using worker = await startWorkerProcess(fresh.redis.url, fresh.folder);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "after" });
  await until(() => hasEvent(fresh, run_id, "run.text"));
  // Each look finds that an hour has passed since the last one, as after a machine's sleep.
  const now = Date.now;
  using clock = vi.spyOn(Date, "now").mockImplementation(() => now() + performance.now() * 3_600);
  worker.kill("SIGKILL");
  expect(await runs.result({ run_id, wait_ms: 2 * workerTtlMs })).toMatchObject({ status: "running" });
  clock.mockRestore();
  expect(await runs.result({ run_id, wait_ms: 2 * workerTtlMs })).toMatchObject({ error: { code: "WORKER_LOST" } });
});

test("a cancel that the dead worker could not carry out is carried out", async () => {
  await using fresh = await startFreshCore({ runners: [createNamesOnly()] });
  const { runs } = fresh.ports;
  await using worker = await startWorkerProcess(fresh.redis.url, fresh.folder);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "after" });
  await until(() => hasEvent(fresh, run_id, "run.text"));
  worker.kill("SIGKILL");
  expect(await runs.cancel({ run_id })).toMatchObject({ status: "running", cancelled: true });
  expect(await runs.result({ run_id, wait_ms: 12_000 })).toMatchObject({ status: "cancelled" });
});

test("a run whose job was lost is queued again", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x" });
  const { prefix, name } = fresh.store.keys.tenant().queue;
  await until(() => fresh.store.commands.exists(`${prefix}:${name}:${run_id}`));
  const jobs = await fresh.store.commands.keys(`${prefix}:${name}:*`);
  await fresh.store.commands.del(...jobs);

  await fresh.startWorker();
  expect(await runs.result({ run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
});

test("a run whose worker never heard that it was given the job is given to it again", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x" });
  const keys = fresh.store.keys.tenant();
  const { prefix, name } = keys.queue;
  await until(() => fresh.store.commands.exists(`${prefix}:${name}:${run_id}`));
  // What a connection leaves behind that breaks before the answer: a living worker's job that it knows nothing of.
  const worker_id = "alive";
  const taker = new BareWorker(name, null, {
    connection: fresh.store.connect("taker", "queue"),
    prefix,
    name: worker_id,
    lockDuration: 1_000,
  });
  expect((await taker.getNextJob("token"))?.id).toBe(run_id);
  await taker.close();
  await fresh.store.commands.set(keys.worker(worker_id), "1");

  await fresh.startWorker();
  expect(await runs.result({ run_id, wait_ms: 15_000 })).toMatchObject({ status: "completed" });
});

test("a worker whose beats Redis refused has time to come back before it counts as dead", async () => {
  await using fresh = await startFreshCore();
  const { commands, keys } = fresh.store;
  const tenant = keys.tenant();
  const worker_id = "refused";
  const ref = await fresh.ports.runs.spawn({ ...spawnDefaults, prompt: "x" });
  const store = createRunStore({ redis: commands, keys: tenant, terms: "1000", maxAgeMs: 60_000 });
  await store.claim({ ...ref, model: "echo" }, { lease: 1, worker_id, runner: "echo" });
  // Longer than the reconciler needs to trust what it sees.
  await commands.set(tenant.worker(worker_id), "1", "PX", 7_000);
  await commands.config("SET", "min-replicas-to-write", "1");
  await until(async () => (await commands.exists(tenant.worker(worker_id))) === 0, {
    message: "the last beat is over",
  });
  await commands.config("SET", "min-replicas-to-write", "0");

  const backAt = performance.now();
  await until(async () => {
    expect(await fresh.ports.runs.get(ref.run_id)).toMatchObject({ status: "running" });
    return performance.now() > backAt + 2_500;
  });
  // Nobody beats any more.
  await until(async () => (await fresh.ports.runs.get(ref.run_id)).status === "queued");
});

test("an outage that is over before anybody looks gives workers time to come back too", async () => {
  await using fresh = await startFreshCore();
  const { commands, keys } = fresh.store;
  const tenant = keys.tenant();
  const worker_id = "kept from its beats";
  const ref = await fresh.ports.runs.spawn({ ...spawnDefaults, prompt: "x" });
  const store = createRunStore({ redis: commands, keys: tenant, terms: "1000", maxAgeMs: 60_000 });
  await store.claim({ ...ref, model: "echo" }, { lease: 1, worker_id, runner: "echo" });
  await commands.set(tenant.worker(worker_id), "1");
  const startedAt = performance.now();
  await until(() => performance.now() > startedAt + workerTtlMs + 1_500, { message: "it would believe by now" });

  const another = fresh.store.connect("another", "commands");
  const kill = ["client", "KILL", "TYPE", "normal"];
  await another.multi([kill, ["del", tenant.worker(worker_id)]]).exec();
  const backAt = performance.now();
  await until(async () => {
    expect(await fresh.ports.runs.get(ref.run_id).catch(() => undefined)).not.toMatchObject({ status: "queued" });
    return performance.now() > backAt + 2_500;
  });
  await until(async () => (await fresh.ports.runs.get(ref.run_id)).status === "queued");
});

async function eventsOf(fresh: FreshCore, runId: string): Promise<RunEvent[]> {
  const key = fresh.store.keys.tenant().channel(channels.run(runId));
  const entries = await fresh.store.commands.xrange(key, "-", "+");
  return entries.map(([, [, json]]) => JSON.parse(json ?? "") as RunEvent);
}

async function hasEvent(fresh: FreshCore, runId: string, type: RunEvent["event_type"]): Promise<boolean> {
  return (await eventsOf(fresh, runId)).some(({ event_type }) => event_type === type);
}

async function finalsOf(fresh: FreshCore, runId: string): Promise<string[]> {
  const events = await eventsOf(fresh, runId);
  return events.map(({ event_type }) => event_type).filter((type) => /completed|failed|cancelled|timed_out/.test(type));
}
