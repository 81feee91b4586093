import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Image, type RunEvent, type SpawnInput, schemas } from "@ksi/contract";
import type { KsiError } from "@ksi/contract/errors";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { noRunner } from "./run-endings.ts";
import type { Runner } from "./runners/runner.ts";
import { spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner } from "./testing/manual-runner.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

test("a run goes from the prompt over its events to its result", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  await fresh.startWorker();

  const { run_id, session_id, status } = await runs.spawn({ ...spawnDefaults, prompt: "hello big world" });
  const events: RunEvent[] = [];
  for await (const { event } of await runs.events(run_id, {})) events.push(event);
  const run = await runs.result({ run_id, wait_ms: 5_000 });

  expect(status).toBe("accepted");
  expect(events.map(({ event_type }) => event_type)).toEqual([
    "run.queued",
    "run.started",
    "run.text",
    "run.text",
    "run.text",
    "run.completed",
  ]);
  expect(events.every((event) => event.run_id === run_id && event.session_id === session_id)).toBe(true);
  expect(run).toMatchObject({ run_id, session_id, status: "completed", result: "hello big world", runner: "echo" });
  expect(run).not.toHaveProperty("prompt");
});

test("a session's id is the caller's or a new UUID in lower case, and a run's is the daemon's own", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const mine = await runs.spawn({ ...spawnDefaults, prompt: "x", session_id });
  const others = [
    await runs.spawn({ ...spawnDefaults, prompt: "x" }),
    await runs.spawn({ ...spawnDefaults, prompt: "x" }),
  ];
  expect(mine.session_id).toBe(session_id);
  for (const { session_id } of others) expect(schemas.sessionRef.parse({ session_id })).toEqual({ session_id });
  const all = [mine, ...others];
  expect(new Set(all.map(({ session_id }) => session_id)).size).toBe(3);
  expect(new Set(all.map(({ run_id }) => schemas.runRef.parse({ run_id }).run_id)).size).toBe(3);
});

test("a result is waited for, and given as soon as it is there", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "manual" });

  expect((await runs.result({ run_id, wait_ms: 1 })).status).not.toBe("completed");
  const waiting = runs.result({ run_id, wait_ms: 20_000 });
  const [turn] = await until(() => manual.turns.length === 1 && manual.turns);
  turn?.complete("done");

  expect(await waiting).toMatchObject({ status: "completed", result: "done" });
});

test("a result is waited for over a gap in the events of its run", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const { commands, keys } = fresh.store;
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "x", model: "manual" });
  const [turn] = await until(() => manual.turns.length === 1 && manual.turns);
  const waiting = runs.result({ run_id, wait_ms: 20_000 });
  await until(async () => (await commands.pubsub("NUMSUB", keys.tenant().channel(`runs:${run_id}`)))[1] === 1);
  // As after a Redis that may have lost its tail.
  await commands.set(keys.tenant().epoch, String(Date.now() + 60_000));
  turn?.complete("done");
  expect(await waiting).toMatchObject({ status: "completed", result: "done" });
});

test("a model that nobody serves is refused with the names of those that would run now", async () => {
  const gone: Runner = {
    ...createManualRunner(),
    probe: async () => ({ name: "manual", available: false, models: ["manual"], advice: "Install it." }),
  };
  const refusal = async (runners: Runner[], more: Partial<SpawnInput>) => {
    await using fresh = await startFreshCore({ runners });
    const refused = fresh.ports.runs.spawn({ ...spawnDefaults, prompt: "x", ...more });
    return await refused.then(String, ({ code, message }: KsiError) => `${code}: ${message}`);
  };
  const unknown = { model: "gpt-0" };
  expect(await refusal([createManualRunner()], unknown)).toBe(
    "MODEL_NOT_FOUND: No runner serves the model gpt-0. Ready here: manual, echo.",
  );
  expect(await refusal([gone], unknown)).toMatch(/Ready here: echo\.$/);
  expect((await noRunner("gpt-0", [gone])).message).toMatch(/No other is ready here either/);
  const image = { model: "echo", images: [{ media_type: "image/png", data: "AAAA" }] } satisfies Partial<SpawnInput>;
  expect(await refusal([createManualRunner()], image)).toMatch(/Choose one that does: manual\.$/);
  expect(await refusal([gone], image)).toMatch(/No model that is ready here does\.$/);
});

test("images go to the runner with their run, are given to nobody else, and are dropped when it ends", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  const { runs } = fresh.ports;
  const images = [
    { media_type: "image/png", data: "AAAA" },
    { media_type: "image/webp", data: "BBBB" },
  ] satisfies Image[];
  const { run_id } = await runs.spawn({ ...spawnDefaults, model: "manual", prompt: "x", images });
  const hasImages = () => fresh.store.commands.hexists(fresh.store.keys.tenant().run(run_id), "images");
  expect(await hasImages()).toBe(1);
  await fresh.startWorker();
  const turn = await until(() => manual.turns[0]);
  expect(turn.turn.images).toEqual(images);
  turn.complete("seen");
  const run = await runs.result({ run_id, wait_ms: 5_000 });
  expect(run).toMatchObject({ status: "completed", result: "seen" });
  expect(run).not.toHaveProperty("images");
  expect(await hasImages()).toBe(0);
});

test("images for a model that takes none are refused, with the models that do", async () => {
  await using fresh = await startFreshCore({ runners: [createManualRunner()] });
  const { runs } = fresh.ports;
  const images = [{ media_type: "image/png", data: "AAAA" }] satisfies Image[];
  await expect(runs.spawn({ ...spawnDefaults, model: "echo", prompt: "x", images })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringContaining("manual"),
    details: { issues: [{ path: "images" }] },
  });
  await expect(runs.spawn({ ...spawnDefaults, model: "echo", prompt: "x", images: [] })).resolves.toBeDefined();
});

test("a working folder must exist inside a root, links followed", async () => {
  await using fresh = await startFreshCore();
  const { folder } = fresh;
  const { runs } = fresh.ports;
  await mkdir(join(folder, "inside"));
  await writeFile(join(folder, "file"), "");
  await symlink("/", join(folder, "escape"));
  const spawnIn = (cwd: string) => runs.spawn({ ...spawnDefaults, prompt: "x", cwd });

  await expect(spawnIn(join(folder, "inside"))).resolves.toMatchObject({ status: "accepted" });
  await expect(spawnIn("inside")).resolves.toMatchObject({ status: "accepted" });
  await expect(spawnIn("/")).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(spawnIn("/nowhere/at/all")).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(spawnIn(join(folder, ".."))).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(spawnIn(`${folder}-sibling`)).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(spawnIn(join(folder, "escape"))).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(spawnIn(join(folder, "missing"))).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(spawnIn(join(folder, "file"))).rejects.toMatchObject({ code: "INVALID_INPUT" });
});

test("an idempotency key repeats the first run, and refuses another body", async () => {
  await using fresh = await startFreshCore({ runners: [createManualRunner()] });
  const { runs } = fresh.ports;
  const input = { ...spawnDefaults, model: "manual", prompt: "once", idempotency_key: "k 1", metadata: { a: 1, b: 2 } };
  const first = await runs.spawn(input);
  const again = await Promise.all([1, 2, 3].map(() => runs.spawn({ ...input, metadata: { b: 2, a: 1 } })));

  expect(new Set(again.map(({ run_id }) => run_id))).toEqual(new Set([first.run_id]));
  expect(again[0]?.session_id).toBe(first.session_id);
  await expect(runs.spawn({ ...input, prompt: "other" })).rejects.toMatchObject({
    code: "CONFLICT",
    details: { run_id: first.run_id },
  });
  const images = [{ media_type: "image/png", data: "AAAA" }] satisfies Image[];
  await expect(runs.spawn({ ...input, images })).rejects.toMatchObject({ code: "CONFLICT" });
  expect((await runs.list({ limit: 10 })).runs).toHaveLength(1);
});

test("runs are listed newest first, in pages, by status and by session", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: `${i}`, ...(i % 2 === 0 && { session_id }) });
    ids.unshift(run_id);
  }
  await runs.cancel({ run_id: ids[0] ?? "" });

  const first = await runs.list({ limit: 2 });
  const second = await runs.list({ limit: 2, after: first.next });
  const third = await runs.list({ limit: 2, after: second.next });
  const seen = [first, second, third].flatMap((page) => page.runs.map(({ run_id }) => run_id));
  expect(seen).toEqual(ids);
  expect(third.next).toBeUndefined();

  const idsOf = async (filter: object) => (await runs.list({ limit: 10, ...filter })).runs.map(({ run_id }) => run_id);
  expect(await idsOf({ status: "queued" })).toEqual(ids.slice(1));
  expect(await idsOf({ session_id })).toEqual([ids[0], ids[2], ids[4]]);
  expect(await idsOf({ session_id, status: "cancelled" })).toEqual([ids[0]]);
  expect(await idsOf({ session_id, status: "running" })).toEqual([]);
  await expect(runs.list({ limit: 2, after: "(inf" })).rejects.toMatchObject({ code: "INVALID_INPUT" });
});

test("the events of a final run end with its final event, from wherever they are read", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  await fresh.startWorker();
  const { run_id } = await runs.spawn({ ...spawnDefaults, prompt: "a b" });
  await runs.result({ run_id, wait_ms: 5_000 });
  const read = async (from: Parameters<typeof runs.events>[1]) => {
    const entries = [];
    for await (const entry of await runs.events(run_id, from)) entries.push(entry);
    return entries;
  };

  const all = await read({});
  const cursors = all.map(({ cursor }) => cursor);
  expect(all.at(-1)?.event.event_type).toBe("run.completed");
  expect(await read({ lastEventId: cursors[1] })).toEqual(all.slice(2));
  expect(await read({ lastEventId: cursors.at(-1) })).toEqual([]);
  expect(await read({ from: "now" })).toEqual([]);
  await expect(runs.events("nothing", {})).rejects.toMatchObject({ code: "NOT_FOUND" });

  await fresh.store.commands.del(fresh.store.keys.tenant().channel(`runs:${run_id}`));
  await expect(read({})).rejects.toMatchObject({ code: "HISTORY_TRIMMED" });
});

test("unknown runs are not found", async () => {
  await using fresh = await startFreshCore();
  const { runs } = fresh.ports;
  const unknown = { code: "NOT_FOUND", message: expect.stringContaining("nope") };
  await expect(runs.get("nope")).rejects.toMatchObject(unknown);
  await expect(runs.result({ run_id: "nope", wait_ms: 0 })).rejects.toMatchObject(unknown);
  await expect(runs.cancel({ run_id: "nope" })).rejects.toMatchObject(unknown);
});

test("a draining core takes no new runs", async () => {
  await using fresh = await startFreshCore();
  fresh.core.drain();
  await expect(fresh.ports.runs.spawn({ ...spawnDefaults, prompt: "x" })).rejects.toMatchObject({
    code: "SHUTTING_DOWN",
  });
  expect((await fresh.ports.system.status()).status).toBe("draining");
});
