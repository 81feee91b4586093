import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const other_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6c";

test("a session knows its runs, and lists come most recently used first", async () => {
  await using fresh = await startFreshCore();
  const { runs, sessions } = fresh.ports;
  await runs.spawn({ ...spawnDefaults, prompt: "1", session_id });
  await runs.spawn({ ...spawnDefaults, prompt: "2", session_id: other_id });
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "3", session_id });

  const session = await sessions.get(session_id);
  expect(session).toMatchObject({ session_id, run_count: 2, last_run_id: run_id, last_status: "queued" });
  const first = await sessions.list({ limit: 1 });
  const second = await sessions.list({ limit: 1, after: first.next });
  expect([first, second].flatMap((page) => page.sessions.map((found) => found.session_id))).toEqual([
    session_id,
    other_id,
  ]);
  expect(second.next).toBeUndefined();
  await expect(sessions.get("nope")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(sessions.messages({ session_id: "nope", limit: 1 })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("what was said is given oldest first, in pages that split a turn in two", async () => {
  await using fresh = await startFreshCore();
  const { runs, sessions } = fresh.ports;
  await fresh.startWorker();
  for (const prompt of ["one", "two"]) {
    const { run_id } = await runs.spawn({ ...spawnDefaults, prompt, session_id });
    await runs.result({ run_id, wait_ms: 5_000 });
  }
  const failing = { echo: { fail: "MODEL_ERROR" } };
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "three", session_id, metadata: failing });
  await runs.result({ run_id, wait_ms: 5_000 });

  const said: string[] = [];
  let after: string | undefined;
  do {
    const page = await sessions.messages({ session_id, limit: 1, after });
    said.push(...page.messages.map(({ role, content }) => `${role}: ${content}`));
    after = page.next;
  } while (after);
  expect(said).toEqual(["human: one", "agent: one", "human: two", "agent: two", "human: three"]);
});

test("a session is deleted with its runs, but not while one of them is in line", async () => {
  await using fresh = await startFreshCore();
  const { runs, sessions, events } = fresh.ports;
  const input = { ...spawnDefaults, prompt: "x", session_id, idempotency_key: "k" };
  const { run_id } = await runs.spawn(input);
  await expect(sessions.delete(session_id)).rejects.toMatchObject({ code: "CONFLICT" });
  await runs.cancel({ run_id });
  const follow = await events.subscribe({ types: ["session.*"] }, {});

  expect(await sessions.delete(session_id)).toEqual({ status: "deleted", session_id });
  await expect(runs.get(run_id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(sessions.delete(session_id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  for await (const { event } of follow) {
    expect(event).toMatchObject({ event_type: "session.deleted", session_id });
    break;
  }
  expect((await runs.list({ limit: 10 })).runs).toEqual([]);
  expect((await runs.spawn(input)).run_id).not.toBe(run_id);
});

test("what is older than the history is kept is forgotten, and nothing of it stays in Redis", async () => {
  const { startJanitor } = await import("./janitor.ts");
  const { createRunIndex } = await import("./run-index.ts");
  const { createRunStore } = await import("./run-store.ts");
  await using fresh = await startFreshCore({ history: { maxEvents: 1_000, maxAgeMs: 1 } });
  const { runs } = fresh.ports;
  const { commands: redis } = fresh.store;
  const keys = fresh.store.keys.tenant();
  const worker = await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", session_id });
  await until(async () => (await redis.zcard(keys.endedRuns)) === 1 && worker.activeRuns === 0);
  const waiting = await worker.close().then(() => runs.spawn({ ...spawnDefaults, prompt: "y", session_id: other_id }));

  const context = { redis, keys, terms: "1000", maxAgeMs: 1 };
  const janitor = startJanitor({
    ...context,
    runs: createRunStore(context),
    index: createRunIndex(redis, keys),
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    intervalMs: 5,
  });
  await until(async () => (await redis.zcard(keys.endedRuns)) === 0);
  await janitor.stop();

  await expect(runs.get(run_id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect((await runs.get(waiting.run_id)).status).toBe("queued");
  const left = await redis.keys("*");
  expect(left.filter((key) => key.includes(run_id) || key.includes(session_id))).toEqual([]);
  expect(left).toContain(keys.channel(channels.run(waiting.run_id)));
});
