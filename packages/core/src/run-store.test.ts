import { randomUUID } from "node:crypto";
import {
  canTransition,
  type FinalRunEvent,
  isFinal,
  isFinalRunEvent,
  type RunEvent,
  type RunStatus,
} from "@ksi/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { newEvent } from "./event-log.ts";
import { channels } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { createRunIndex } from "./run-index.ts";
import { type RunResult, toRunResult } from "./run-results.ts";
import { createRunStore, type Ending, type NewRun } from "./run-store.ts";
import { workerTtlMs } from "./silence.ts";
import { startFreshRedis } from "./testing/fresh-redis.ts";

const sessionIds = [1, 2].map((n) => `3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6${n}`);
const workerIds = ["worker-1", "worker-2"];

test("whatever anybody does, states change as the table says, each run ends once, and no line stands still", async () => {
  await using redis = await startFreshRedis();
  let tenants = 0;
  const steps = fc.array(step, { minLength: 5, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (commands) => {
      const world = createWorld(redis.store, `tenant-${tenants++}`);
      for (const command of commands) {
        await world.act(command);
        await world.check();
      }
      await world.finishEverything();
      await world.checkEvents();
    }),
    { numRuns: 100 },
  );
});

test("a worker that gave its run back cannot release it for the next holder, whose agent may still run", async () => {
  await using redis = await startFreshRedis();
  const keys = redis.store.keys.tenant();
  const runs = createRunStore({ redis: redis.store.commands, keys, terms: "100", maxAgeMs: 600_000 });
  const [first, second] = [newRun(sessionIds[0] ?? ""), newRun(sessionIds[0] ?? "")];
  for (const run of [first, second]) await runs.spawn(run);
  await runs.claim(first, { lease: 1, worker_id: "one", runner: "r" });
  await runs.giveBack(first, 1, "stopping");
  await runs.claim(first, { lease: 2, worker_id: "two", runner: "r" });
  await runs.finish(first, 2, ending("run.completed"));

  expect(await runs.release(first, 1)).toBeUndefined();
  expect(await runs.release(first, 2)).toBe(second.run_id);
});

test("a worker that ends its run as the reconciler did in its place is told that the run is lost", async () => {
  await using redis = await startFreshRedis();
  const keys = redis.store.keys.tenant();
  const runs = createRunStore({ redis: redis.store.commands, keys, terms: "100", maxAgeMs: 600_000 });
  const run = newRun(sessionIds[0] ?? "");
  await runs.spawn(run);
  const claim = { lease: 1, worker_id: "one", runner: "r" };
  await runs.claim(run, claim);
  await runs.promptHanded(run, 1);
  await redis.store.commands.del(keys.worker(claim.worker_id));
  expect(await runs.lose(run, claim)).toMatchObject({ outcome: "failed" });
  expect(await runs.finish(run, 1, ending("run.failed"))).toMatchObject({ outcome: "lost" });
});

test("a claim is a beat, so that a worker which comes back with one is not taken for dead", async () => {
  await using redis = await startFreshRedis();
  const keys = redis.store.keys.tenant();
  const runs = createRunStore({ redis: redis.store.commands, keys, terms: "100", maxAgeMs: 600_000 });
  const run = newRun(sessionIds[0] ?? "");
  await runs.spawn(run);
  const claim = { lease: 1, worker_id: "one", runner: "r" };
  await runs.claim(run, claim);
  expect(await runs.lose(run, claim)).toBeUndefined();
  expect(await redis.store.commands.pttl(keys.worker(claim.worker_id))).toBeGreaterThan(workerTtlMs - 1_000);
});

const session = fc.constantFrom(...sessionIds);
const worker = fc.constantFrom(...workerIds);
/** Which of the runs so far. */
const pick = fc.nat({ max: 20 });
/** Off by one at times: a holder that has lost its lease, or a job that is too old. */
const drift = fc.constantFrom(0, 0, 0, -1, 1);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("spawn" as const), session }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("claim" as const), pick, worker, drift }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hand" as const), pick, drift }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("finish" as const),
      pick,
      drift,
      as: fc.constantFrom<Ending["event_type"]>("run.completed", "run.failed", "run.timed_out", "run.cancelled"),
      isEnded: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), pick, drift }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reject" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("giveBack" as const), pick, drift }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose" as const), pick, drift, isDead: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("live" as const), worker, isAlive: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), pick }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function createWorld(store: Store, tenant: string) {
  const keys = store.keys.tenant(tenant);
  const redis = store.commands;
  const runs = createRunStore({ redis, keys, terms: "10000", maxAgeMs: 600_000 });
  const index = createRunIndex(redis, keys);
  const refs: { run_id: string; session_id: string }[] = [];
  let statuses = new Map<string, RunStatus>();
  return { act, check, finishEverything, checkEvents };

  async function act(command: Step): Promise<void> {
    if (command.do === "live") {
      if (command.isAlive) await redis.set(keys.worker(command.worker), "1");
      else await redis.del(keys.worker(command.worker));
      return;
    }
    if (command.do === "spawn") {
      const run = newRun(command.session);
      refs.push(run);
      await runs.spawn(run);
      return;
    }
    const ref = refs[command.pick % refs.length];
    const [record] = ref ? await index.pick([ref.run_id], ["status", "lease", "worker_id"]) : [];
    if (!ref || !record) return;
    const drift = "drift" in command ? command.drift : 0;
    const lease = record.lease + drift;
    const worker_id = record.worker_id ?? "nobody";
    const isHeld = drift === 0 && record.status === "running";
    if (command.do === "claim") {
      const claimed = await runs.claim(
        { ...ref, model: "m" },
        { lease: lease + 1, worker_id: command.worker, runner: "r" },
      );
      const isNew = record.status === "queued" && drift === 0;
      const isRepeat = record.status === "running" && drift === -1 && record.worker_id === command.worker;
      if (claimed) expect(isNew || isRepeat).toBe(true);
    }
    if (command.do === "hand") {
      const noted = await runs.promptHanded(ref, lease, { handed: ref.run_id });
      expect(noted === "lost").toBe(!isHeld);
    }
    if (command.do === "finish") {
      const isRepeat = drift === 0 && `run.${record.status}` === command.as;
      const finishing = { events: [textOf(ref, "last "), textOf(ref, "words")], isEnded: command.isEnded };
      const { outcome, next } = await runs.finish(ref, lease, ending(command.as), finishing);
      expect(outcome).toBe(isHeld || isRepeat ? "done" : "lost");
      if (next) expect(await redis.lindex(keys.sessionLine(ref.session_id), 0)).toBe(next);
    }
    if (command.do === "release") await runs.release(ref, lease);
    if (command.do === "cancel") await runs.cancel(ref);
    if (command.do === "reject") await runs.reject(ref, { code: "MODEL_NOT_FOUND", message: "no" });
    if (command.do === "giveBack") expect((await runs.giveBack(ref, lease, "test")) === "lost").toBe(!isHeld);
    if (command.do === "lose") {
      if (command.isDead) await redis.del(keys.worker(worker_id));
      await runs.lose(ref, { lease, worker_id });
    }
    if (command.do === "forget" && (await runs.forget(ref))) statuses.delete(ref.run_id);
  }

  /** After each step: what was observed before leads to what is observed now in one step at most, and lines are sound. */
  async function check(): Promise<void> {
    const now = new Map((await records()).map(({ run_id, status }) => [run_id, status]));
    for (const [run_id, before] of statuses) {
      const after = now.get(run_id);
      if (after === undefined) throw new Error(`run ${run_id} is forgotten`);
      if (before !== after && !canTransition(before, after)) throw new Error(`${before} became ${after}`);
    }
    statuses = now;
    for (const status of new Set(now.values())) {
      const indexed = await redis.zrange(keys.runsWith(status), "-inf", "+inf", "BYSCORE");
      const expected = [...now].filter(([, candidate]) => candidate === status).map(([run_id]) => run_id);
      expect(new Set(indexed)).toEqual(new Set(expected));
    }
    const [outbox, claimed] = await Promise.all([redis.smembers(keys.outbox), redis.smembers(keys.claimed)]);
    const lines = await Promise.all(sessionIds.map((id) => redis.lrange(keys.sessionLine(id), 0, -1)));
    // The heads, and only they, may run; each is either free or held, never both and never neither.
    const heads = lines.flatMap((line) => line.slice(0, 1));
    expect([...outbox, ...claimed].sort()).toEqual(heads.sort());
    const open = [...now].filter(([, status]) => !isFinal(status)).map(([run_id]) => run_id);
    for (const run_id of open) expect(lines.flat()).toContain(run_id);
  }

  /** As workers and the reconciler would: every accepted run gets its end. */
  async function finishEverything(): Promise<void> {
    await redis.del(...workerIds.map((id) => keys.worker(id)));
    for (let rounds = 0; rounds <= refs.length * 2; rounds++) {
      for (const { lease, worker_id = "", ...ref } of await pickRecords(await redis.smembers(keys.claimed))) {
        await runs.lose(ref, { lease, worker_id });
      }
      for (const { lease, ...ref } of await pickRecords(await redis.smembers(keys.outbox))) {
        await runs.claim({ ...ref, model: "m" }, { lease: lease + 1, worker_id: "last", runner: "r" });
        await check();
        await runs.finish(ref, lease + 1, ending("run.completed"));
        await runs.release(ref, lease + 1);
      }
      await check();
    }
    for (const { status } of await records()) expect(isFinal(status)).toBe(true);
    for (const id of sessionIds) expect(await redis.llen(keys.sessionLine(id))).toBe(0);
  }

  async function checkEvents(): Promise<void> {
    const firehose = finalsIn(await eventsOf(channels.firehose));
    const results = (await Promise.all(sessionIds.map((id) => entriesOf<RunResult>(channels.results(id))))).flat();
    for (const { run_id, status } of await records()) {
      const own = await eventsOf(channels.run(run_id));
      const finals = finalsIn(own);
      expect(finals).toHaveLength(1);
      expect(finals[0]?.event_type).toBe(`run.${status}`);
      expect(own.at(-1)).toEqual(finals[0]);
      const words = own.filter(({ event_type }) => event_type === "run.text");
      expect(words.map(({ payload }) => "text" in payload && payload.text).join("")).toMatch(/^(last words)?$/);
      expect(own.slice(-1 - words.length, -1)).toEqual(words);
      expect(firehose.filter((event) => event.run_id === run_id)).toEqual(finals);
      expect(results.filter((result) => result.run_id === run_id)).toEqual(finals.map(toRunResult));
    }
  }

  async function records() {
    return await index.pick(
      refs.map(({ run_id }) => run_id),
      ["run_id", "status"],
    );
  }

  async function pickRecords(ids: string[]) {
    return await index.pick(ids, ["run_id", "session_id", "lease", "worker_id"]);
  }

  function eventsOf(channel: string): Promise<RunEvent[]> {
    return entriesOf(channel);
  }

  async function entriesOf<T>(channel: string): Promise<T[]> {
    const entries = await redis.xrange(keys.channel(channel), "-", "+");
    return entries.map(([, [, json]]) => JSON.parse(json ?? "") as T);
  }
}

function finalsIn(events: readonly RunEvent[]): FinalRunEvent[] {
  return events.filter(isFinalRunEvent);
}

function textOf(ref: { run_id: string; session_id: string }, text: string): object {
  return newEvent({ ...ref, event_type: "run.text", source: "ksi", payload: { text } });
}

function newRun(session_id: string): NewRun {
  const common = { model: "m", priority: 50, timeout_ms: 1_000, prompt: "x", enable_tools: true, cwd: "/" };
  return { run_id: randomUUID(), session_id, ...common };
}

function ending(event_type: Ending["event_type"]): Ending {
  const error = { code: "INTERNAL" as const, message: "test" };
  if (event_type !== "run.completed") return { event_type, payload: { error }, fields: { error } };
  return { event_type, payload: { result: "ok", model: "m", duration_ms: 1 }, fields: { result: "ok" } };
}
