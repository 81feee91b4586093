import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startCore } from "./core.ts";
import { channels } from "./redis/keys.ts";
import { createRunQueue } from "./run-queue.ts";
import { type FreshCore, spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { silentLogger } from "./testing/fresh-redis.ts";
import { createManualRunner, type ManualRunner } from "./testing/manual-runner.ts";
import { testHistory } from "./testing/test-history.ts";

const manualDefaults = { ...spawnDefaults, model: "manual" };
const sessionIds = Array.from({ length: 5 }, (_, i) => `3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6${i}`);

test("runs of a session execute in the order accepted and never two at once, on two workers", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker({ concurrency: 3 });
  await fresh.startWorker({ concurrency: 3 });
  const prompts = sessionIds.flatMap((session_id) => Array.from({ length: 6 }, (_, i) => ({ session_id, i })));
  const accepted = new Map<string, string[]>();
  for (const { session_id, i } of prompts.sort((a, b) => a.i - b.i)) {
    // A later run of a higher priority does not overtake its own session.
    const { run_id } = await runs.spawn({ ...manualDefaults, prompt: `${i}`, session_id, priority: 100 - i * 10 });
    accepted.set(session_id, [...(accepted.get(session_id) ?? []), run_id]);
  }

  const executed = new Map<string, string[]>();
  const running = new Set<string>();
  for (let taken = 0; taken < prompts.length; taken++) {
    const next = await until(() => manual.turns[taken]);
    const { session_id, run_id } = next.turn;
    expect(running.has(session_id)).toBe(false);
    running.add(session_id);
    executed.set(session_id, [...(executed.get(session_id) ?? []), run_id]);
    setTimeout(() => {
      running.delete(session_id);
      next.complete("ok");
    }, 5);
  }
  expect(executed).toEqual(accepted);
});

test("the next run of a session waits until the agent's process has ended, not only for its result", async () => {
  const manual = createManualRunner({ isSlowToEnd: true });
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const [session_id] = sessionIds;
  const first = await runs.spawn({ ...manualDefaults, prompt: "1", session_id });
  const second = await runs.spawn({ ...manualDefaults, prompt: "2", session_id });
  (await turnAt(manual, 0)).complete("done");

  expect(await runs.result({ run_id: first.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
  // A run of another session overtakes it, so there was time enough to start.
  await runs.spawn({ ...manualDefaults, prompt: "other" });
  expect((await turnAt(manual, 1)).turn.prompt).toBe("other");
  expect((await runs.get(second.run_id)).status).toBe("queued");
  for (const { end } of manual.turns) end();
  expect((await turnAt(manual, 2)).turn.run_id).toBe(second.run_id);
  manual.turns[1]?.complete("");
  manual.turns[2]?.complete("");
  manual.turns[2]?.end();
});

test("a second job of a run that the worker has already starts no second agent", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const { run_id, session_id } = await runs.spawn({ ...manualDefaults, prompt: "x" });
  const turn = await turnAt(manual, 0);

  // What an outage leaves that outlasted the job's lock.
  const keys = fresh.store.keys.tenant();
  const { prefix, name } = keys.queue;
  const job = `${prefix}:${name}:${run_id}`;
  await fresh.store.commands.del(`${job}:lock`);
  const queue = createRunQueue(fresh.store, keys, silentLogger);
  await queue.remove(run_id);
  await queue.add([{ run_id, session_id, model: "manual", priority: 50, lease: 1 }]);
  await until(async () => !(await fresh.store.commands.exists(job)), { message: "the job was taken and is done" });
  expect(manual.turns).toHaveLength(1);
  turn.complete("once");
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed", result: "once" });
  await queue.close();
});

test("a run of priority 0 is served first, one of 100 last", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  for (const priority of [100, 50, 0, 50, 1]) {
    await fresh.ports.runs.spawn({ ...manualDefaults, prompt: `${priority}`, priority });
  }
  const { prefix, name } = fresh.store.keys.tenant().queue;
  await until(async () => (await fresh.store.commands.zcard(`${prefix}:${name}:prioritized`)) === 5);
  await fresh.startWorker({ concurrency: 1 });
  for (let i = 0; i < 5; i++) (await turnAt(manual, i)).complete("");
  expect(manual.turns.map(({ turn }) => turn.prompt)).toEqual(["0", "1", "50", "50", "100"]);
});

test("a queued run that is cancelled never starts, and the next of its session does", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const [session_id] = sessionIds;
  const first = await runs.spawn({ ...manualDefaults, prompt: "1", session_id });
  const second = await runs.spawn({ ...manualDefaults, prompt: "2", session_id });
  const third = await runs.spawn({ ...manualDefaults, prompt: "3", session_id });
  expect(await runs.cancel({ run_id: first.run_id })).toMatchObject({ status: "queued", cancelled: true });
  expect(await runs.cancel({ run_id: second.run_id })).toMatchObject({ status: "queued", cancelled: true });
  await fresh.startWorker();

  expect((await turnAt(manual, 0)).turn.run_id).toBe(third.run_id);
  manual.turns[0]?.complete("");
  expect(await runs.get(first.run_id)).toMatchObject({ status: "cancelled", error: { code: "RUN_CANCELLED" } });
  expect(await runs.cancel({ run_id: first.run_id })).toMatchObject({ status: "cancelled", cancelled: false });
});

test("a running run is cancelled from another core", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  await using other = await startCore({
    store: fresh.store,
    logger: silentLogger,
    defaultModel: "echo",
    runners: [manual],
    roots: [fresh.folder],
    runTimeoutMs: 1_000,
    history: testHistory,
    version: "0",
    onShutdown: () => undefined,
  });
  await fresh.startWorker();
  const { run_id } = await fresh.ports.runs.spawn({ ...manualDefaults, prompt: "x" });
  const turn = await turnAt(manual, 0);
  await turn.hand();

  const cancelled = await other.ports().runs.cancel({ run_id, reason: "changed my mind" });
  expect(cancelled).toEqual({ run_id, status: "running", cancelled: true });
  const run = await fresh.ports.runs.result({ run_id, wait_ms: 5_000 });
  expect(run).toMatchObject({
    status: "cancelled",
    error: { code: "RUN_CANCELLED", message: expect.stringContaining("changed my mind") },
  });
  expect(turn.signal.aborted).toBe(true);
});

test("a run that takes longer than its limit is timed out", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...manualDefaults, prompt: "x", timeout_ms: 50 });
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({
    status: "timed_out",
    error: { code: "RUN_TIMED_OUT", message: expect.stringContaining("50 ms") },
  });
});

test.each(["WORKER_LOST", "SHUTTING_DOWN"])(
  "a runner that fails with %s has failed, and its session goes on",
  async (code) => {
    await using fresh = await startFreshCore();
    const { runs } = fresh.ports;
    await fresh.startWorker();
    const failing = { ...manualDefaults, model: "echo", prompt: "x", metadata: { echo: { fail: code } } };
    const { run_id, session_id } = await runs.spawn(failing);
    expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({ status: "failed", error: { code } });
    const next = await runs.spawn({ ...failing, session_id, metadata: {} });
    expect(await runs.result({ run_id: next.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
  },
);

test("tools are narrowed by a run and never widened", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker({ tools: ["Read", "Bash"], concurrency: 1 });
  await runs.spawn({ ...manualDefaults, prompt: "all" });
  await runs.spawn({ ...manualDefaults, prompt: "some", tools: ["Bash", "WebFetch"] });
  await runs.spawn({ ...manualDefaults, prompt: "none", tools: ["Bash"], enable_tools: false });
  for (let i = 0; i < 3; i++) (await turnAt(manual, i)).complete("");
  expect(manual.turns.map(({ turn }) => turn.tools)).toEqual([["Read", "Bash"], ["Bash"], []]);
});

test("what a runner leaves with a session is given to its next turn", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const [session_id] = sessionIds;
  for (const prompt of ["1", "2", "3"]) await runs.spawn({ ...manualDefaults, prompt, session_id });

  const first = await turnAt(manual, 0);
  expect(first.turn.memory).toBeUndefined();
  await first.hand({ is_started: true });
  first.fail(new Error("the process died"));
  const second = await turnAt(manual, 1);
  expect(second.turn.memory).toEqual({ is_started: true });
  second.complete("", { memory: { cost_usd: 1 } });
  const third = await turnAt(manual, 2);
  expect(third.turn.memory).toEqual({ cost_usd: 1 });
  third.complete("");
});

test("draining lets a run finish, takes no other, and at the deadline gives back what was not handed over", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const worker = await fresh.startWorker();
  const finishing = await runs.spawn({ ...manualDefaults, prompt: "finishes" });
  const finishes = await turnAt(manual, 0);
  const handed = await runs.spawn({ ...manualDefaults, prompt: "handed" });
  await (await turnAt(manual, 1)).hand();
  const waiting = await runs.spawn({ ...manualDefaults, prompt: "not handed" });
  await turnAt(manual, 2);

  const drained = worker.drain(300);
  const late = await runs.spawn({ ...manualDefaults, prompt: "late" });
  finishes.complete("in time");
  await drained;
  expect(worker.activeRuns).toBe(0);
  expect(await runs.get(finishing.run_id)).toMatchObject({ status: "completed" });
  expect(await runs.get(handed.run_id)).toMatchObject({ status: "cancelled", error: { code: "RUN_CANCELLED" } });
  expect((await runs.get(waiting.run_id)).status).toBe("queued");
  expect((await runs.get(late.run_id)).status).toBe("queued");
  expect(manual.turns).toHaveLength(3);

  await worker.close();
  await fresh.startWorker();
  for (const i of [3, 4]) (await turnAt(manual, i)).complete("");
  expect(await runs.result({ run_id: waiting.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
  expect(await runs.result({ run_id: late.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
});

test("turns are logged as JSON lines, and a log that cannot be written loses no run", async () => {
  const manual = createManualRunner();
  const errors: string[] = [];
  const logger = { ...silentLogger, error: (_: object, message: string) => void errors.push(message) };
  await using fresh = await startFreshCore({ runners: [manual], logger });
  const { runs } = fresh.ports;
  const [session_id] = sessionIds;
  const worker = await fresh.startWorker();
  await runs.spawn({ ...manualDefaults, prompt: "hi", session_id });
  const turn = await turnAt(manual, 0);
  await turn.hand();
  turn.complete("ho");
  await until(() => worker.activeRuns === 0);
  await worker.close();
  const lines = (await readFile(join(fresh.logDir, `${session_id}.jsonl`), "utf8")).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { timestamp: expect.any(String), type: "human", content: "hi" },
    { timestamp: expect.any(String), type: "manual", result: "ho" },
  ]);

  await rm(fresh.logDir, { recursive: true });
  await writeFile(fresh.logDir, "a file where the folder should be");
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...manualDefaults, prompt: "again", session_id });
  (await turnAt(manual, 1)).complete("fine");
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed", result: "fine" });
  await until(() => errors.some((message) => message.includes("turn log")));
});

test("a working folder that is gone when the run starts fails it with advice", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const cwd = join(fresh.folder, "gone");
  await mkdir(cwd);
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", cwd });
  await rm(cwd, { recursive: true });
  await fresh.startWorker();
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({
    status: "failed",
    error: { code: "INVALID_INPUT", message: expect.stringContaining("gone") },
  });
});

test("a run whose model no worker serves fails, and its session goes on", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const [session_id] = sessionIds;
  const { run_id } = await runs.spawn({ ...manualDefaults, prompt: "x", session_id });
  const next = await runs.spawn({ ...spawnDefaults, prompt: "y", session_id });
  const { createEchoRunner } = await import("./runners/echo.ts");
  await fresh.startWorker({ runners: [createEchoRunner()] });
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({ error: { code: "MODEL_NOT_FOUND" } });
  expect(await runs.result({ run_id: next.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
});

test("a result that cannot be stored fails its run instead of leaving it running", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  await fresh.startWorker();
  const { runs } = fresh.ports;
  const { run_id, session_id } = await runs.spawn({ ...manualDefaults, prompt: "x" });
  const turn = await until(() => manual.turns[0]);
  await turn.hand();
  turn.complete("done", { output: 1n as unknown as string });
  expect(await runs.result({ run_id, wait_ms: 5_000 })).toMatchObject({
    status: "failed",
    error: { code: "INTERNAL" },
  });
  const next = await runs.spawn({ ...manualDefaults, prompt: "y", session_id });
  await until(() => manual.turns[1]);
  expect((await runs.get(next.run_id)).status).toBe("running");
});

test("no run is lost when Redis is away for longer than a worker's beat lasts", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const first = await runs.spawn({ ...manualDefaults, prompt: "ends meanwhile" });
  const second = await runs.spawn({ ...manualDefaults, prompt: "ends later" });
  for (const i of [0, 1]) await (await turnAt(manual, i)).hand();
  const ends = manual.turns.find(({ turn }) => turn.run_id === first.run_id);
  const goesOn = manual.turns.find(({ turn }) => turn.run_id === second.run_id);

  // So that the script is known to Redis, which carries out what was sent while it was away.
  ends?.emit({ event_type: "run.text", payload: { text: "said before" } });
  await until(async () => (await fresh.store.commands.xlen(channelOf(fresh, first.run_id))) === 3);
  await fresh.store.commands.client("PAUSE", 11_000, "ALL");
  ends?.emit({ event_type: "run.text", payload: { text: "said while Redis was away" } });
  ends?.complete("done while Redis was away");
  await until(async () => (await fresh.core.health()).status === "unavailable");
  await until(async () => (await fresh.core.health()).status === "ok");

  expect(await runs.result({ run_id: first.run_id, wait_ms: 10_000 })).toMatchObject({ status: "completed" });
  // Long enough for the reconciler to trust Redis again, and to see that the worker is alive.
  expect(await runs.result({ run_id: second.run_id, wait_ms: 7_000 })).toMatchObject({ status: "running" });
  goesOn?.complete("late");
  expect(await runs.result({ run_id: second.run_id, wait_ms: 5_000 })).toMatchObject({ result: "late" });
  const said: string[] = [];
  for await (const { event } of await runs.events(first.run_id, {})) said.push(event.event_type);
  expect(said).toEqual(["run.queued", "run.started", "run.text", "run.text", "run.completed"]);
});

test("an agent that says more at once than may wait for Redis has each of its events stored once", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual], history: { ...testHistory, maxEvents: 100_000 } });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...manualDefaults, prompt: "x" });
  const turn = await turnAt(manual, 0);
  const words = Array.from({ length: 12_000 }, (_, i) => `${i} `);
  // In turn, since adjacent texts are joined.
  for (const [i, text] of words.entries()) {
    turn.emit({ event_type: i % 2 ? "run.text" : "run.thinking", payload: { text } });
  }
  turn.complete("done");
  expect(await runs.result({ run_id, wait_ms: 15_000 })).toMatchObject({ status: "completed" });

  const said: string[] = [];
  for await (const { event } of await runs.events(run_id, {}))
    if ("text" in event.payload) said.push(event.payload.text);
  expect(said).toEqual(words);
});

test("a run is cancelled or timed out only when nothing of its agent is left", async () => {
  const manual = createManualRunner({ isSlowToEnd: true });
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const cancelled = await runs.spawn({ ...manualDefaults, prompt: "1" });
  const timedOut = await runs.spawn({ ...manualDefaults, prompt: "2", timeout_ms: 50 });
  await turnAt(manual, 1);
  await runs.cancel({ run_id: cancelled.run_id });
  await until(() => manual.turns.every(({ signal }) => signal.aborted));
  // There was time enough for a final state: another run has one.
  const other = await runs.spawn({ ...spawnDefaults, prompt: "other" });
  expect(await runs.result({ run_id: other.run_id, wait_ms: 5_000 })).toMatchObject({ status: "completed" });
  for (const { run_id } of [cancelled, timedOut]) expect((await runs.get(run_id)).status).toBe("running");

  for (const { end } of manual.turns) end();
  expect((await runs.result({ run_id: cancelled.run_id, wait_ms: 5_000 })).status).toBe("cancelled");
  expect((await runs.result({ run_id: timedOut.run_id, wait_ms: 5_000 })).status).toBe("timed_out");
});

test("draining and closing end in time while Redis is away, also with a job under way", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const worker = await fresh.startWorker();
  await runs.spawn({ ...manualDefaults, prompt: "x" });
  await (await turnAt(manual, 0)).hand();
  await runs.spawn({ ...spawnDefaults, prompt: "its job cannot be added" });
  await fresh.store.commands.client("PAUSE", 60_000, "ALL");

  await Promise.all([worker.drain(100), fresh.core.close()]);
  expect(manual.turns[0]?.signal.aborted).toBe(true);
  await worker.close();
});

function channelOf({ store }: FreshCore, run_id: string): string {
  return store.keys.tenant().channel(channels.run(run_id));
}

async function turnAt(manual: ManualRunner, i: number) {
  return await until(() => manual.turns[i], { message: `turn ${i}` });
}
