/** What comes in by Redis, as servers in this process, and one that is killed, carry it out. */
import { randomUUID } from "node:crypto";
import type { SpawnInput } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { type Core, startCore } from "./core.ts";
import type { TenantKeys } from "./redis/keys.ts";
import { type Store, startStore } from "./redis/store.ts";
import { createEchoRunner } from "./runners/echo.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";
import { startWayProcess } from "./testing/start-worker-process.ts";
import { startStoppableRedis } from "./testing/stoppable-redis.ts";
import { testHistory } from "./testing/test-history.ts";
import { wayBatch } from "./way-stream.ts";
import { startWaysIn } from "./ways-in.ts";

test("each entry is carried out once by one of two servers, whether it came before them or later", async () => {
  await using redis = await startFreshRedis();
  const prompts = Array.from({ length: 300 }, (_, i) => `prompt ${i}`);
  for (const prompt of prompts.slice(0, 100)) await append(redis.store, "spawn", { prompt });
  await using first = await startServer(redis.url);
  await using second = await startServer(redis.url);
  for (const prompt of prompts.slice(100)) await append(redis.store, "spawn", { prompt });

  await until(() => isEmpty(redis.store, "spawn"));
  expect(new Set(await promptsIn(redis.store))).toEqual(new Set(prompts));
  // Whoever is free takes the next, so one of them may have been quicker all the time.
  await until(async () => {
    await append(redis.store, "spawn", { prompt: "one more" });
    return first.accepted() > 0 && second.accepted() > 0;
  });
});

test("a server keeps the order of the runs of a session, and of messages", async () => {
  await using redis = await startFreshRedis();
  const session_id = randomUUID();
  const message = { source: "shell", event_type: "x.count" };
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  for (const i of numbers) {
    // One folder takes longer to look at than none.
    await append(redis.store, "spawn", { prompt: `${i}`, session_id, ...(i % 3 === 0 && { cwd: "." }) });
    await append(redis.store, "messages", { ...message, payload: i });
  }
  await using server = await startServer(redis.url);
  await until(() => areEmpty(redis.store));
  expect(await promptsIn(redis.store)).toEqual(numbers.map(String));
  const { messages } = await server.core.ports().messages.history({ limit: 500 });
  expect(messages.map(({ payload }) => payload)).toEqual(numbers);
});

test("what a server that was killed had carried out and not removed is not done a second time", async () => {
  await using redis = await startFreshRedis();
  await using folder = await createTempFolder();
  await using killed = await startWayProcess(redis.url, folder.path);
  const message = { source: "shell", event_type: "x.hi" };
  await append(redis.store, "spawn", { prompt: "once" });
  await append(redis.store, "messages", { ...message, payload: "once" });
  await until(() => ["spawn", "messages"].every((way) => killed.lines.includes(`carried out ${way}`)));
  killed.kill("SIGKILL");

  await using server = await startServer(redis.url);
  await append(redis.store, "spawn", { prompt: "next" });
  await append(redis.store, "messages", { ...message, payload: "next" });
  await until(() => areEmpty(redis.store));
  expect(await promptsIn(redis.store)).toEqual(["once", "next"]);
  const { messages } = await server.core.ports().messages.history({ limit: 500 });
  expect(messages.map(({ payload }) => payload)).toEqual(["once", "next"]);
  expect(await refusedOf(redis.store, "spawn")).toEqual([]);
});

test("entries that cannot be used are set aside with the reason, and hold up nobody", async () => {
  await using redis = await startFreshRedis();
  await using _server = await startServer(redis.url);
  const { commands } = redis.store;
  const key = redis.store.keys.tenant().ways.spawn;
  await append(redis.store, "spawn", { prompt: "first", idempotency_key: "mine" });
  await until(() => isEmpty(redis.store, "spawn"));
  const ids = [
    await commands.xadd(key, "*", "data", `no JSON ${"x".repeat(20_000)}`),
    await commands.xadd(key, "*", "prompt", "hi", "priority", "high"),
    await append(redis.store, "spawn", { prompt: "other", idempotency_key: "mine" }),
    await append(redis.store, "spawn", { prompt: "hi", model: "nobody-serves-this" }),
    await append(redis.store, "spawn", { prompt: "hi", cwd: "/" }),
  ];
  await append(redis.store, "messages", { source: "shell", target: "nobody", event_type: "x.hi", payload: 1 });
  await append(redis.store, "spawn", { prompt: "last" });

  await until(() => areEmpty(redis.store));
  expect(await promptsIn(redis.store)).toEqual(["first", "last"]);
  const found = await refusedOf(redis.store, "spawn");
  expect(found).toHaveLength(ids.length);
  const refused = ids.map((id) => found.find(({ entry_id }) => entry_id === id) ?? {});
  expect(refused.map(({ error }) => error)).toMatchObject([
    { code: "MALFORMED_REQUEST", message: "The field data is no JSON." },
    { code: "INVALID_INPUT", details: { issues: [{ path: "priority", message: "must be a number" }] } },
    { code: "CONFLICT", details: { run_id: expect.any(String) } },
    { code: "MODEL_NOT_FOUND" },
    { code: "FORBIDDEN" },
  ]);
  expect(await refusedOf(redis.store, "messages")).toMatchObject([{ error: { code: "NOT_FOUND" } }]);
  expect(refused[0]?.data).toBe(`no JSON ${"x".repeat(8_192 - "no JSON ".length)}`);
  expect(refused[0]?.is_truncated).toBe("true");
  expect(refused[1]).toMatchObject({
    data: '{"prompt":"hi","priority":"high"}',
    timestamp: expect.stringMatching(/Z$/),
  });
  expect(refused[1]).not.toHaveProperty("is_truncated");
});

test("of refused entries the newest ten thousand are kept", async () => {
  await using redis = await startFreshRedis();
  const { refused, ways } = redis.store.keys.tenant();
  const filling = redis.store.commands.pipeline();
  for (let i = 0; i < 12_000; i++) filling.xadd(refused.spawn, "*", "entry_id", "0-1");
  await filling.exec();
  await using _server = await startServer(redis.url);
  await redis.store.commands.xadd(ways.spawn, "*", "data", "no JSON");
  await until(() => isEmpty(redis.store, "spawn"));
  const count = await redis.store.commands.xlen(refused.spawn);
  expect(count).toBeGreaterThanOrEqual(10_000);
  // Redis removes whole nodes of a hundred.
  expect(count).toBeLessThanOrEqual(10_100);
});

test("what fails for a passing reason is tried again, and those behind it go on meanwhile", async () => {
  await using redis = await startFreshRedis();
  const tries: string[] = [];
  const spawn = async ({ prompt }: SpawnInput) => {
    tries.push(prompt);
    if (prompt === "full" && tries.filter((tried) => tried === "full").length < 3) {
      throw new KsiError("INBOX_FULL", "Full.");
    }
  };
  for (const prompt of ["full", "next", "last"]) await append(redis.store, "spawn", { prompt });
  await using _server = startWays(redis, spawn, { abandonedMs: 200 });
  await until(() => isEmpty(redis.store, "spawn"));
  expect(tries).toEqual(["full", "next", "last", "full", "full"]);
  expect(await refusedOf(redis.store, "spawn")).toEqual([]);
});

test("while the store fails, an entry is tried again in its place", async () => {
  await using redis = await startFreshRedis();
  const tries: string[] = [];
  const spawn = async ({ prompt }: SpawnInput) => {
    tries.push(prompt);
    if (tries.length < 3) throw new KsiError("STORE_UNAVAILABLE", "Redis is out of memory.");
  };
  const session_id = randomUUID();
  for (const prompt of ["first", "next"]) await append(redis.store, "spawn", { prompt, session_id });
  await using _server = startWays(redis, spawn);
  await until(() => isEmpty(redis.store, "spawn"));
  expect(tries).toEqual(["first", "first", "first", "next"]);
});

test("each call has an idempotency key of its entry, unless the entry has one", async () => {
  await using redis = await startFreshRedis();
  const keys: unknown[] = [];
  const id = await append(redis.store, "spawn", { prompt: "x" });
  await append(redis.store, "spawn", { prompt: "x", idempotency_key: "mine" });
  await using _server = startWays(redis, async ({ idempotency_key }) => void keys.push(idempotency_key));
  await until(() => isEmpty(redis.store, "spawn"));
  expect(keys).toEqual([`way:spawn:${id}`, "mine"]);
});

test("a server has a batch in hand at most, keeps it from others for as long as it lives, and puts it back when it drains", async () => {
  await using redis = await startFreshRedis();
  const { ways } = redis.store.keys.tenant();
  const prompts = Array.from({ length: 3 * wayBatch }, (_, i) => `prompt ${i}`);
  const session_id = randomUUID();
  for (const prompt of prompts) await append(redis.store, "spawn", { prompt, session_id });
  const gate = Promise.withResolvers<void>();
  const draining = new AbortController();
  const [bySlow, byOther]: [string[], string[]] = [[], []];
  // The time in which it must show that it lives is shorter than that for which the gate stays closed.
  const options = { abandonedMs: 2_500 };
  await using _slow = startWays(
    redis,
    async ({ prompt }) => {
      bySlow.push(prompt);
      await gate.promise;
    },
    { ...options, draining: draining.signal },
  );
  await until(() => bySlow.length === 1);
  await using _other = startWays(redis, async ({ prompt }) => void byOther.push(prompt), options);
  await until(() => byOther.length === prompts.length - wayBatch);
  const heldSince = performance.now();
  await until(() => performance.now() > heldSince + 2 * options.abandonedMs);
  expect((await redis.store.commands.xpending(ways.spawn, "ksi"))[0]).toBe(wayBatch);
  expect(byOther).toEqual(prompts.slice(wayBatch));

  draining.abort();
  gate.resolve();
  const drainedAt = performance.now();
  await until(() => isEmpty(redis.store, "spawn"));
  // At once: they need not be abandoned first.
  expect(performance.now() - drainedAt).toBeLessThan(options.abandonedMs);
  expect(bySlow).toEqual(prompts.slice(0, 1));
  expect(byOther.toSorted()).toEqual(prompts.slice(1).sort());
});

test("a server that drains takes nothing more", async () => {
  await using redis = await startFreshRedis();
  await using server = await startServer(redis.url);
  await append(redis.store, "spawn", { prompt: "before" });
  await until(() => isEmpty(redis.store, "spawn"));
  server.core.drain();
  const id = await append(redis.store, "spawn", { prompt: "after" });
  await append(redis.store, "messages", { source: "shell", event_type: "x.hi", payload: 1 });
  await using next = await startServer(redis.url);
  await until(() => areEmpty(redis.store));
  expect(server.accepted()).toBe(1);
  expect(next.accepted()).toBe(1);
  expect(id).not.toBeNull();
});

test("an entry of which nobody knows after a day is refused, and one that nobody had begun is carried out", async () => {
  await using redis = await startFreshRedis();
  const { commands } = redis.store;
  const { ways } = redis.store.keys.tenant();
  await commands.xgroup("CREATE", ways.spawn, "ksi", "0", "MKSTREAM");
  const unknown = await append(redis.store, "spawn", { prompt: "unknown" });
  const untouched = await append(redis.store, "spawn", { prompt: "untouched" });
  await commands.xreadgroup("GROUP", "ksi", "servers", "STREAMS", ways.spawn, ">");
  const claim = [ways.spawn, "ksi", "servers", 0] as const;
  const dayMs = 86_400_000;
  await commands.xclaim(...claim, unknown, "IDLE", dayMs, "JUSTID");
  await commands.xclaim(...claim, untouched, "IDLE", dayMs, "RETRYCOUNT", 0, "JUSTID");

  await using _server = await startServer(redis.url);
  await until(() => isEmpty(redis.store, "spawn"));
  expect(await promptsIn(redis.store)).toEqual(["untouched"]);
  expect(await refusedOf(redis.store, "spawn")).toMatchObject([
    { entry_id: unknown, error: { code: "TIMEOUT", details: { outcome: "unknown" } } },
  ]);
});

test("entries that come while Redis restarts again and again are carried out once", async () => {
  await using folder = await createTempFolder();
  const settings = ["--appendonly", "yes", "--appendfsync", "always"];
  const prompts = Array.from({ length: 200 }, (_, i) => `prompt ${i}`);
  let redis = await startStoppableRedis(folder.path, settings);
  await using producer = await startStore({ url: redis.url, logger: silentLogger });
  await using _first = await startServer(redis.url);
  await using _second = await startServer(redis.url);
  for (const [i, prompt] of prompts.entries()) {
    // A producer repeats what was not answered, and says so by a key of its own.
    const entry = { prompt, idempotency_key: prompt };
    await until(() => append(producer, "spawn", entry).catch(() => undefined));
    if (i % 50 !== 25) continue;
    await redis[Symbol.asyncDispose]();
    redis = await startStoppableRedis(folder.path, settings);
  }
  await until(() => isEmpty(producer, "spawn").catch(() => false), { deadlineMs: 30_000 });
  expect(new Set(await promptsIn(producer))).toEqual(new Set(prompts));
  expect(await refusedOf(producer, "spawn")).toEqual([]);
  await redis[Symbol.asyncDispose]();
});

test("a way that was deleted is there again", async () => {
  await using redis = await startFreshRedis();
  await using _server = await startServer(redis.url);
  await append(redis.store, "spawn", { prompt: "before" });
  await until(() => isEmpty(redis.store, "spawn"));
  await redis.store.commands.flushall();
  await append(redis.store, "spawn", { prompt: "after" });
  await until(() => isEmpty(redis.store, "spawn"));
  expect(await promptsIn(redis.store)).toEqual(["after"]);
});

interface Server extends AsyncDisposable {
  readonly core: Core;
  /** Runs that this one accepted. */
  accepted(): number;
}

/** As `ksi serve --no-worker` has it, on a connection of its own. */
async function startServer(url: string): Promise<Server> {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await createTempFolder());
  const store = parts.use(await startStore({ url, logger: silentLogger }));
  let accepted = 0;
  const core = parts.use(
    await startCore({
      store,
      logger: { ...silentLogger, info: (_fields, message) => (accepted += message === "Run accepted." ? 1 : 0) },
      defaultModel: "echo",
      runners: [createEchoRunner()],
      roots: [folder.path],
      runTimeoutMs: 60_000,
      history: testHistory,
      version: "0.0.0-test",
      onShutdown: () => undefined,
    }),
  );
  const lives = parts.move();
  return { core, accepted: () => accepted, [Symbol.asyncDispose]: () => lives.disposeAsync() };
}

/** The ways alone, whose calls are the test's. */
function startWays(
  redis: FreshRedis,
  spawn: (input: SpawnInput) => Promise<void>,
  options: { draining?: AbortSignal; abandonedMs?: number } = {},
): AsyncDisposable {
  const accepted = { status: "accepted", run_id: "r", session_id: "s", message: "" } as const;
  const runs = { spawn: (input: SpawnInput) => spawn(input).then(() => accepted) };
  const messages = { send: () => Promise.reject(new Error("not in this test")) };
  return startWaysIn({
    store: redis.store,
    keys: redis.store.keys.tenant(),
    ports: { runs, messages },
    logger: silentLogger,
    draining: new AbortController().signal,
    ...options,
  });
}

type WayName = keyof TenantKeys["ways"];

async function append({ commands, keys }: Store, way: WayName, call: object): Promise<string> {
  return (await commands.xadd(keys.tenant().ways[way], "*", "data", JSON.stringify(call))) ?? "";
}

/** Everything is carried out or refused. */
async function isEmpty({ commands, keys }: Store, way: WayName): Promise<boolean> {
  return (await commands.xlen(keys.tenant().ways[way])) === 0;
}

async function areEmpty(store: Store): Promise<boolean> {
  return (await isEmpty(store, "spawn")) && (await isEmpty(store, "messages"));
}

async function refusedOf({ commands, keys }: Store, way: WayName) {
  const entries = await commands.xrange(keys.tenant().refused[way], "-", "+");
  return entries.map(([, flat]) => {
    const fields: Record<string, unknown> = {};
    for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] ?? ""] = flat[i + 1] ?? "";
    fields.error = JSON.parse(String(fields.error));
    return fields;
  });
}

/** Of all runs, in the order in which they were accepted. */
async function promptsIn({ commands, keys }: Store): Promise<string[]> {
  const ids = await commands.zrange(keys.tenant().runs, "0", "-1");
  return await Promise.all(ids.map(async (id) => (await commands.hget(keys.tenant().run(id), "prompt")) ?? ""));
}
