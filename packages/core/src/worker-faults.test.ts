/** Workers in processes of their own that are killed, stopped and starved in the middle of real agents' turns. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, constants, setPriority } from "node:os";
import type { RunEvent } from "@ksi/contract";
import { type ClaudeStandIn, createClaudeStandIn, isAlive, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { workerTtlMs } from "./silence.ts";
import { type FreshCore, spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner } from "./testing/manual-runner.ts";
import { startWorkerProcess, type WorkerProcess } from "./testing/start-worker-process.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const claudeDefaults = { ...spawnDefaults, model: "sonnet", session_id };
/** Agents that nothing polite ends, with grandchildren in other groups and sessions. */
const stubborn = "#hang #fork #ignore=SIGINT,SIGTERM";
const talking = "#deltas=100000 #every=20";
const takeoverMs = 10_000;

test("a worker that is stopped has lost its agents before the next of the session starts, and writes nothing more when it goes on", async () => {
  await using scene = await startScene();
  const { runs } = scene.fresh.ports;
  const stopped = await scene.startWorker();
  // It talks, so that the worker finds unread words of it when it goes on.
  const first = await runs.spawn({ ...claudeDefaults, prompt: `${talking} #fork #ignore=SIGINT,SIGTERM` });
  const tree = await treeOf(scene.claude);
  await until(async () => (await eventsOf(scene.fresh, first.run_id)).length > 20);
  await scene.startWorker();
  const next = await runs.spawn({ ...claudeDefaults, prompt: "next" });

  stopped.kill("SIGSTOP");
  await until(() => tree.every((pid) => !isAlive(pid)), { deadlineMs: takeoverMs });
  const goneAt = Date.now();
  expect(await runs.result({ run_id: first.run_id, wait_ms: takeoverMs })).toMatchObject({
    status: "failed",
    error: { code: "WORKER_LOST" },
  });
  expect(await runs.result({ run_id: next.run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
  const [, started] = await scene.claude.turns();
  expect(started).toMatchObject({ event: "started", prompt: "next" });
  expect(started?.at).toBeGreaterThanOrEqual(goneAt);

  const before = await eventsOf(scene.fresh, first.run_id);
  stopped.kill("SIGCONT");
  await until(() => stopped.lines.some((line) => line.includes("no longer this worker's")));
  expect(await eventsOf(scene.fresh, first.run_id)).toEqual(before);
  expect(finalsOf(before)).toEqual(["run.failed"]);
  // It is as good as before: it has four places, and the other one only four as well.
  const more = await spawnMany(scene.fresh, { prompt: "#start=500 more", count: 8 });
  for (const run_id of more) expect(await runs.result({ run_id, wait_ms: 20_000 })).toMatchObject({ result: "more" });
  const pids = new Set([stopped.child.pid, ...scene.workers.map(({ child }) => child.pid)].map(String));
  expect(await workersOf(scene.fresh, more)).toEqual(pids);
});

test("a worker that goes on before anybody took its run fails it itself, and says why", async () => {
  await using scene = await startScene();
  const { runs } = scene.fresh.ports;
  const worker = await scene.startWorker();
  const { run_id } = await runs.spawn({ ...claudeDefaults, prompt: stubborn });
  const tree = await treeOf(scene.claude);
  worker.kill("SIGSTOP");
  await until(() => tree.every((pid) => !isAlive(pid)), { deadlineMs: takeoverMs });
  worker.kill("SIGCONT");
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({
    status: "failed",
    error: { code: "WORKER_LOST", message: expect.stringContaining("stood still") },
  });
  expect(finalsOf(await eventsOf(scene.fresh, run_id))).toEqual(["run.failed"]);
  const next = await runs.spawn({ ...claudeDefaults, prompt: "next" });
  expect(await runs.result({ run_id: next.run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
});

test("the runs of a worker that is killed with its agents at work have failed within ten seconds, and no process is left", async () => {
  await using scene = await startScene();
  const { runs } = scene.fresh.ports;
  const worker = await scene.startWorker();
  const { run_id } = await runs.spawn({ ...claudeDefaults, prompt: stubborn });
  const next = await runs.spawn({ ...claudeDefaults, prompt: "next" });
  const tree = await treeOf(scene.claude);
  await scene.startWorker();
  worker.kill("SIGKILL");
  const killedAt = performance.now();
  expect(await runs.result({ run_id, wait_ms: takeoverMs })).toMatchObject({ error: { code: "WORKER_LOST" } });
  expect(tree.filter(isAlive)).toEqual([]);
  expect(performance.now() - killedAt).toBeLessThan(takeoverMs);
  expect(await runs.result({ run_id: next.run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
});

test("a worker whose event loop is blocked for two seconds again and again keeps its run", async () => {
  await using scene = await startScene();
  const { runs } = scene.fresh.ports;
  const worker = await scene.startWorker();
  const { run_id } = await runs.spawn({ ...claudeDefaults, prompt: "#start=9000 done" });
  await until(async () => (await scene.claude.turns()).length > 0);
  for (let blocks = 1; blocks <= 3; blocks++) {
    worker.kill("SIGUSR2");
    await until(() => worker.lines.filter((line) => line === "blocked").length === blocks);
  }
  expect(await runs.result({ run_id, wait_ms: 20_000 })).toMatchObject({ status: "completed", result: "done" });
  expect(await attemptsOf(scene.fresh, run_id)).toBe(1);
});

test("a worker that everybody else on a busy machine comes before keeps its runs", async () => {
  await using scene = await startScene();
  const { runs } = scene.fresh.ports;
  const worker = await scene.startWorker();
  const ids = await spawnMany(scene.fresh, { prompt: "#deltas=1000 #every=8", count: 4 });
  await until(async () => (await scene.claude.turns()).length === 4);
  // It gets a tenth of what each of the others gets, and has some work.
  setPriority(worker.child.pid ?? 0, constants.priority.PRIORITY_BELOW_NORMAL);
  await using load = startLoad(2 * availableParallelism());
  // Longer than it takes to be called dead.
  await until(() => performance.now() - load.startedAt > workerTtlMs + 2_000, { deadlineMs: 60_000 });
  await load[Symbol.asyncDispose]();
  for (const run_id of ids) {
    expect(await runs.result({ run_id, wait_ms: 30_000 })).toMatchObject({ status: "completed" });
    expect(await attemptsOf(scene.fresh, run_id)).toBe(1);
  }
});

interface Scene extends AsyncDisposable {
  readonly fresh: FreshCore;
  readonly claude: ClaudeStandIn;
  readonly workers: readonly WorkerProcess[];
  startWorker(): Promise<WorkerProcess>;
}

/** A core that executes nothing itself, and lets runs for the stand-in be spawned. */
async function startScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const claude = stack.use(await createClaudeStandIn());
  const namesOnly = { ...createManualRunner(), models: ["sonnet"], serves: (model: string) => model === "sonnet" };
  const fresh = stack.use(await startFreshCore({ runners: [namesOnly] }));
  const workers: WorkerProcess[] = [];
  const owned = stack.move();
  return {
    fresh,
    claude,
    workers,
    async startWorker() {
      const worker = owned.use(await startWorkerProcess(fresh.redis.url, fresh.folder, claude.bin));
      workers.push(worker);
      return worker;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The agent and its three grandchildren, when they are all there. */
async function treeOf(claude: ClaudeStandIn): Promise<number[]> {
  const children = await until(async () => {
    const forked = await claude.children();
    return forked.length === 3 && forked;
  });
  const [agent] = await claude.turns();
  const pids = [agent?.pid ?? 0, ...children.map(({ pid }) => pid)];
  expect(pids.every(isAlive)).toBe(true);
  return pids;
}

async function spawnMany({ ports }: FreshCore, { prompt, count }: { prompt: string; count: number }) {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    ids.push((await ports.runs.spawn({ ...spawnDefaults, model: "sonnet", prompt })).run_id);
  }
  return ids;
}

async function workersOf(fresh: FreshCore, runIds: readonly string[]): Promise<Set<string>> {
  const pids = new Set<string>();
  for (const runId of runIds) {
    const started = (await eventsOf(fresh, runId)).find(({ event_type }) => event_type === "run.started");
    // The id of a worker begins with the number of its process.
    if (started?.event_type === "run.started") pids.add(started.payload.worker_id.replace(/-.*/, ""));
  }
  return pids;
}

async function attemptsOf(fresh: FreshCore, runId: string): Promise<number> {
  return (await eventsOf(fresh, runId)).filter(({ event_type }) => event_type === "run.started").length;
}

async function eventsOf(fresh: FreshCore, runId: string): Promise<RunEvent[]> {
  const key = fresh.store.keys.tenant().channel(channels.run(runId));
  const entries = await fresh.store.commands.xrange(key, "-", "+");
  return entries.map(([, [, json]]) => JSON.parse(json ?? "") as RunEvent);
}

function finalsOf(events: readonly RunEvent[]): string[] {
  return events.map(({ event_type }) => event_type).filter((type) => /completed|failed|cancelled|timed_out/.test(type));
}

/** Processes that do nothing but use the processor; they end by themselves if nobody ends them. */
function startLoad(count: number) {
  const burn = "const end = Date.now() + 60_000; while (Date.now() < end);";
  const burning: ChildProcess[] = Array.from({ length: count }, () =>
    spawn(process.execPath, ["-e", burn], { stdio: "ignore" }),
  );
  const exited = Promise.all(burning.map((child) => once(child, "exit")));
  return {
    startedAt: performance.now(),
    async [Symbol.asyncDispose]() {
      for (const child of burning) child.kill("SIGKILL");
      await exited;
    },
  };
}
