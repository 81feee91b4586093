/**
 * What callers, followers and running agents meet while Redis is full, read-only, slow or gone, and what is there when it
 * is back. Each fault has a Redis and a daemon of its own; they go side by side, since two of them take 20 s.
 */
import { randomUUID } from "node:crypto";
import { isFinalRunEvent, type KsiEvent } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { doors, findFaults, startFollower } from "./followers.ts";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";
import { type LiveWorker, startLiveWorker } from "./live-worker.ts";
import { findLooseEnds, type OwnRedis, startOwnRedis } from "./own-redis.ts";
import { callsWithoutKey, countEffects, publishes, reads, spawnsWithKey, type Tried, tryAll } from "./tried-calls.ts";

interface Fault {
  readonly name: string;
  readonly lastsMs: number;
  begin(redis: OwnRedis): void | Promise<void>;
  end(redis: OwnRedis): void | Promise<void>;
  /** The reason that every refusal gives, and /health. */
  readonly says: RegExp;
  readonly healthSays: RegExp;
  /** A call that fails may have been on its way, and says so. */
  readonly isUnknown: boolean;
  readonly canRead: boolean;
  /** It is over before an append has been repeated for 5 s. */
  readonly canPublish: boolean;
  /** Runs are executed by a process of their own. */
  readonly hasWorkerProcess: boolean;
}

const setting = (name: string, value: string) => async (redis: OwnRedis) =>
  void (await redis.commands.config("SET", name, value));
/** Long enough for every beat of the worker to be forgotten. */
const refusing = { lastsMs: 8_000, isUnknown: false, canRead: true, canPublish: false, hasWorkerProcess: false };
const silent = { isUnknown: true, canRead: false, canPublish: false, hasWorkerProcess: true };
const noAnswer = /Redis did not answer within 1000 ms/;

const faults: Fault[] = [
  {
    ...silent,
    name: "holds still for 20 s",
    lastsMs: 20_000,
    begin: (redis) => redis.hold(),
    end: (redis) => redis.letGo(),
    says: /(took too long to answer|connection to Redis is gone).* may or may not have arrived/,
    healthSays: noAnswer,
  },
  {
    ...silent,
    name: "is gone for 20 s and starts again on its data",
    lastsMs: 20_000,
    begin: (redis) => redis.stop(),
    end: (redis) => redis.start(),
    says: /connection to Redis is gone\.$/,
    healthSays: /connection to Redis is gone/,
    isUnknown: false,
  },
  {
    ...silent,
    name: "is so slow that calls take 7 s",
    lastsMs: 7_000,
    begin: async ({ commands }) => void (await commands.client("PAUSE", 7_000, "ALL")),
    end: () => undefined,
    says: /took too long to answer.* may or may not have arrived/,
    healthSays: noAnswer,
    canPublish: true,
  },
  {
    ...refusing,
    name: "is out of memory",
    begin: setting("maxmemory", "1"),
    end: setting("maxmemory", "0"),
    says: /out of memory/,
    healthSays: /out of memory/,
  },
  {
    ...refusing,
    name: "is a read-only replica of a primary that is nowhere",
    begin: async ({ commands }) => void (await commands.replicaof("127.0.0.1", "1")),
    end: async ({ commands }) => void (await commands.replicaof("NO", "ONE")),
    says: /read-only replica/,
    healthSays: /read-only replica/,
  },
  {
    ...refusing,
    name: "has too few replicas",
    begin: setting("min-replicas-to-write", "1"),
    end: setting("min-replicas-to-write", "0"),
    says: /too few replicas/,
    healthSays: /too few replicas/,
  },
];

const wordCount = 40;
const isEnd = ({ event_type }: KsiEvent) => event_type === "x.end";

test.concurrent.for(faults)("a Redis that $name", async (fault) => {
  await using redis = await startOwnRedis();
  await using house = await startHouse(redis, fault);
  const { live } = house;
  const { ksi, daemon } = live;
  await ksi.agents.register({ agent_id: "bob" });

  // Speaks from before the fault until after it.
  const session_id = randomUUID();
  const prompt = Array.from({ length: wordCount }, (_, i) => `word${i}`).join(" ");
  const metadata = { echo: { delay_ms: Math.ceil((fault.lastsMs + 2_000) / wordCount) } };
  const speaking = await ksi.run({ prompt, model: "echo", session_id, metadata });
  const waiting = await ksi.run({ prompt: "after it", model: "echo", session_id });
  await using stack = new AsyncDisposableStack();
  const ofRun = doors.map((door) =>
    stack.use(startFollower(door, { ...daemon, run_id: speaking.run_id }, (event) => isFinalRunEvent(event))),
  );
  const ofAll = doors.map((door) => stack.use(startFollower(door, daemon, isEnd)));
  const followers = [...ofRun, ...ofAll];
  await until(() => ofRun.every(({ events }) => events.length > 3) && ofAll.every(({ events }) => events.length > 3), {
    message: "everybody follows",
  });

  const begunAt = performance.now();
  const end = once(() => fault.end(redis));
  // Also where an expectation fails, or the daemon would wait for Redis before it stops.
  stack.defer(end);
  await fault.begin(redis);
  const changes = { ...spawnsWithKey(live), ...callsWithoutKey(live) };
  const trying = Promise.all([changes, publishes(live), reads(live)].map(tryAll));
  expect(await askHealth(live)).toMatchObject({ status: 503, reason: expect.stringMatching(fault.healthSays) });
  const [changed = [], published = [], read = []] = await trying;
  for (const tried of changed) {
    // What waits while another message is on its way may be stored in the end, since it was not sent before.
    const isStoredLate = fault.canPublish && tried.call.startsWith("send by") && tried.status === 200;
    if (!isStoredLate) expectRefusal(tried, fault);
  }
  const away = { status: 503, code: "STORE_UNAVAILABLE" };
  for (const tried of published) expect(tried).toMatchObject(fault.canPublish ? { status: 200 } : away);
  for (const tried of read) expect(tried).toMatchObject(fault.canRead ? { status: 200 } : away);
  await until(() => performance.now() > begunAt + fault.lastsMs, { deadlineMs: fault.lastsMs + 10_000 });
  const saidMeanwhile = ofRun.map(({ events }) => events.length);
  await end();

  await until(async () => (await askHealth(live)).status === 200, { message: "health is ok again" });
  expect((await speaking.result()).result).toBe(prompt);
  expect((await waiting.result()).result).toBe("after it");
  await until(async () => (await ksi.system.status()).queued === 0, { message: "nothing waits" });
  await ksi.events.publish({ source: "tester", event_type: "x.end", payload: null });
  await until(() => followers.every(({ isComplete }) => isComplete), { message: "all followers are complete" });

  // Most was said while Redis was away, and nothing of it is missing.
  if (!fault.canPublish) for (const said of saidMeanwhile) expect(said).toBeLessThan(wordCount / 2);
  for (const { events } of ofRun) expect(textOf(events)).toBe(prompt);
  for (const follower of followers) expect(findFaults(follower)).toEqual([]);
  for (const { events } of ofAll) expect(events).toEqual(ofAll[0]?.events);
  const codes = new Set(followers.flatMap(({ endings }) => endings.map(({ code }) => code)));
  expect([...codes].filter((code) => code !== "STORE_UNAVAILABLE")).toEqual([]);
  if (fault.canRead) expect(codes.size).toBe(0);
  const finals = ofAll[0]?.events.filter((event) => "run_id" in event && /completed$|failed$/.test(event.event_type));
  expect(new Set(finals?.map((event) => "run_id" in event && event.run_id)).size).toBe(finals?.length);

  // What failed for certain is not there; what may have happened has happened once at most.
  const effects = await countEffects(live, ofAll[0]?.events ?? []);
  for (const { call } of changed) {
    expect(effects(call), call).toBeLessThanOrEqual(fault.isUnknown ? 1 : 0);
  }
  for (const { call } of published) {
    expect(effects(call), call).toBeLessThanOrEqual(fault.isUnknown ? 1 : 0);
    if (fault.canPublish) expect(effects(call), call).toBe(1);
  }
  const again = await tryAll(spawnsWithKey(live));
  for (const tried of again) expect(tried, tried.call).toMatchObject({ status: 200 });
  await until(async () => (await ksi.system.status()).queued + (await ksi.system.status()).active_processes === 0);
  const afterwards = await countEffects(live, []);
  for (const { call } of again) expect(afterwards(call), call).toBe(1);
  await expectNoLooseEnds(redis);

  for (const process of [daemon, ...(house.worker ? [house.worker] : [])]) {
    expect(warningsOf(process.output()).length).toBeLessThan(maxWarnings);
    expect(await process.stop()).toBe(0);
  }
});

test.concurrent("a Redis that fills up takes a call as a whole or not at all", async () => {
  await using redis = await startOwnRedis();
  await using live = await startLiveDaemon({ env: { KSI_REDIS_URL: redis.url } });
  const { ksi } = live;
  await ksi.agents.register({ agent_id: "bob" });
  const used = Number(/used_memory:(\d+)/.exec(await redis.commands.info("memory"))?.[1]);
  await redis.commands.config("SET", "maxmemory", String(used + 3_000_000));

  const padding = "x".repeat(20_000);
  const accepted = { runs: [] as string[], messages: [] as string[] };
  let refused = 0;
  const fill = async () => {
    // What one call gives free, the next may still take: so until several were refused.
    for (let i = 0; i < 2_000 && refused < 20; i++) {
      const message = { source: "alice", target: "bob", event_type: "x.note", payload: padding };
      const calls = [
        ksi.trpc.runs.spawn.mutate({ prompt: padding, model: "echo" }).then(({ run_id }) => accepted.runs.push(run_id)),
        ksi.trpc.messages.send.mutate(message).then(({ id }) => accepted.messages.push(id)),
      ];
      for (const settled of await Promise.allSettled(calls)) {
        if (settled.status === "fulfilled") continue;
        refused += 1;
        expect(settled.reason).toMatchObject({
          message: expect.stringContaining("out of memory"),
          data: { ksi: { code: "STORE_UNAVAILABLE" } },
        });
      }
    }
  };
  await Promise.all([fill(), fill(), fill()]);
  expect(refused).toBeGreaterThanOrEqual(20);
  await redis.commands.config("SET", "maxmemory", "0");

  for (const run_id of accepted.runs) {
    expect((await (await ksi.runs.attach(run_id)).result()).result).toBe(padding);
  }
  const { runs } = await ksi.runs.list({ limit: 500 });
  expect(runs.map(({ run_id }) => run_id).toSorted()).toEqual(accepted.runs.toSorted());
  const { messages } = await ksi.messages.history({ limit: 500 });
  expect(messages.map(({ id }) => id).toSorted()).toEqual(accepted.messages.toSorted());
  await expectNoLooseEnds(redis);
});

function once(action: () => void | Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= Promise.resolve(action()));
}

function expectRefusal(tried: Tried, { says, isUnknown }: Fault): void {
  expect(tried, tried.call).toMatchObject({
    status: 503,
    code: "STORE_UNAVAILABLE",
    message: expect.stringMatching(says),
  });
  const { shouldRetry, outcome } = tried;
  if (shouldRetry === undefined) expect(outcome, tried.call).toBe(isUnknown ? "unknown" : undefined);
  // A repeat of what may have happened is for the caller to decide, unless it carries a key.
  else expect(shouldRetry, tried.call).toBe(String(!isUnknown || tried.call === "chat with a key"));
}

interface House extends AsyncDisposable {
  readonly live: LiveDaemon;
  readonly worker: LiveWorker | undefined;
}

async function startHouse(redis: OwnRedis, { hasWorkerProcess }: Pick<Fault, "hasWorkerProcess">): Promise<House> {
  await using stack = new AsyncDisposableStack();
  const env = { KSI_REDIS_URL: redis.url, KSI_CLAUDE_BIN: "/nowhere/claude" };
  const live = stack.use(await startLiveDaemon({ env, args: hasWorkerProcess ? ["--no-worker"] : [] }));
  const { dataDir: cwd } = live;
  const worker = hasWorkerProcess
    ? stack.use(await startLiveWorker({ dataDir: `${cwd}/worker`, cwd, env }))
    : undefined;
  const owned = stack.move();
  return { live, worker, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function askHealth({ daemon: { url } }: LiveDaemon): Promise<{ status: number; reason?: unknown }> {
  const response = await fetch(`${url}/health`);
  const { reason } = (await response.json()) as { reason?: unknown };
  return { status: response.status, reason };
}

/** What runs do last, such as leaving their line, they do after their end is told. */
async function expectNoLooseEnds(redis: OwnRedis): Promise<void> {
  let ends: string[] = [];
  const look = async () => {
    ends = await findLooseEnds(redis);
    return ends.length === 0;
  };
  await until(look).catch(() => expect(ends).toEqual([]));
}

function textOf(events: readonly KsiEvent[]): string {
  return events.map((event) => (event.event_type === "run.text" ? event.payload.text : "")).join("");
}

/**
 * Those that answer to a call are as many as the calls, and the rest must not grow with the outage: some seven things look
 * at Redis every second, and each says each of the three ways in which it may be away once a minute.
 */
const maxWarnings = 40;

function warningsOf(output: string): string[] {
  return output.split("\n").filter((line) => /^\{"level":[456]0/.test(line));
}
