import { KsiError } from "@ksi/contract/errors";
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EventLog, newEvent } from "./event-log.ts";
import { startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

interface Numbered {
  n: number;
}

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("appends of one turn of the event loop are one call of Redis and one message a channel", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys } = fresh;
  const messages: string[] = [];
  const plainClient = redis.store.connect("plain", "subscriber");
  plainClient.on("message", (_channel: string, message: string) => messages.push(message));
  await plainClient.subscribe(keys.channel("one"), keys.channel("both"));
  await log.append({ event: { n: 0 }, channels: ["warm-up"] });
  const callsBefore = await countCalls("evalsha");

  await Promise.all([
    ...[1, 2, 3].map((n) => log.append({ event: { n }, channels: ["one", "both"] })),
    Promise.resolve().then(() => log.append({ event: { n: 4 }, channels: ["both"] })),
  ]);

  expect((await countCalls("evalsha")) - callsBefore).toBe(1);
  expect(messages.map((message) => message.split("\n").length)).toEqual([3, 4]);
  const { entries } = await log.page<Numbered>("one", { limit: 10 });
  expect(messages[0]).toBe(entries.map(({ cursor, json }) => `${cursor} ${json}`).join("\n"));
  plainClient.disconnect();
});

test("more appends than fit one call are stored in order", async () => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 1_234);
  expect(await readNumbers(fresh.log)).toEqual(numbers(1_234));
});

test("an event is the same JSON in each of its channels, with numbers of the channel's own", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log } = fresh;
  await appendNumbers(log, 1, "copies");
  const event = newEvent({ event_type: "agent.left", source: "bob", agent_id: "bob", payload: {} });
  await log.append({ event, channels: ["home", "copies"] });
  const home = await log.page("home", { limit: 10 });
  const copies = await log.page("copies", { limit: 10 });
  expect(home.entries[0]?.event).toEqual(event);
  expect(copies.entries[1]?.json).toBe(home.entries[0]?.json);
  expect(copies.entries[1]?.position.number).toBe((copies.entries[0]?.position.number ?? 0) + 1);
});

test("a guard that does not hold refuses its own append and no other", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys } = fresh;
  const [runKey, otherKey] = [keys.run("r1"), keys.run("r2")];
  await redis.store.commands.hset(runKey, { status: "running", lease: 7 });
  await redis.store.commands.hset(otherKey, { status: "cancelled", lease: 7 });
  const outcomes = await Promise.allSettled([
    log.append({ event: { n: 1 }, channels: ["c"], guard: { runKey, lease: 7 } }),
    log.append({ event: { n: 2 }, channels: ["c"], guard: { runKey, lease: 6 } }),
    log.append({ event: { n: 3 }, channels: ["c"], guard: { runKey: otherKey, lease: 7 } }),
    log.append({ event: { n: 4 }, channels: ["c"], guard: { runKey: keys.run("none"), lease: 7 } }),
    log.append({ event: { n: 5 }, channels: ["c"] }),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected", "fulfilled"]);
  expect(outcomes[1]).toMatchObject({ reason: { code: "CONFLICT" } });
  expect(await readNumbers(log, "c")).toEqual([1, 5]);
});

test("what would wait beyond the bound is refused, and the bound is free again afterwards", async () => {
  await using fresh = startFreshLog(redis.store, { maxWaiting: { events: 3, bytes: 1_000 } });
  const { log } = fresh;
  const outcomes = await Promise.allSettled([1, 2, 3, 4].map((n) => log.append({ event: { n }, channels: ["c"] })));
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
  expect(outcomes[3]).toMatchObject({ reason: { code: "STORE_UNAVAILABLE" } });
  await expect(log.append({ event: { text: "x".repeat(1_000) }, channels: ["c"] })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
  });
  await appendNumbers(log, 3, "c");
});

test("an append whose connection breaks on the way is stored once", async () => {
  await using fresh = startFreshLog(redis.store);
  const { log, keys } = fresh;
  const killer = redis.store.connect("killer", "commands");
  await appendNumbers(log, 1);
  // The killer's order reaches Redis before, while or after the call does: each may happen.
  for (let n = 2; n <= 12; n++) {
    const currentId = await redis.store.commands.client("ID");
    const killed = killer.client("KILL", "ID", currentId);
    await log.append({ event: { n }, channels: ["numbers"] });
    await killed;
  }
  expect(await readNumbers(log)).toEqual(numbers(12));
  expect(await redis.store.commands.xlen(keys.channel("numbers"))).toBe(12);
  killer.disconnect();
});

test("a call that Redis has carried out is not carried out again", async () => {
  await using fresh = startFreshLog(redis.store);
  const { commands } = redis.store;
  const original = commands.evalsha.bind(commands);
  let calls = 0;
  // As when the answer is lost: the caller sees a broken connection after Redis did its part.
  commands.evalsha = (async (...args: Parameters<typeof original>) => {
    const reply = await original(...args);
    calls += 1;
    if (calls === 1) throw new Error("Connection is closed.");
    return reply;
  }) as typeof commands.evalsha;
  try {
    await appendNumbers(fresh.log, 3);
  } finally {
    commands.evalsha = original;
  }
  expect(calls).toBe(2);
  expect(await readNumbers(fresh.log)).toEqual([1, 2, 3]);
});

test.each<[string, LostCall[], number]>([
  ["did not arrive", [{ call: 1, isCarriedOut: false }], 4],
  ["was answered to nobody", [{ call: 1, isCarriedOut: true }], 3],
  ["and its follower were answered to nobody", [1, 2].map((call) => ({ call, isCarriedOut: true })), 4],
  ["and its follower did not arrive", [1, 2].map((call) => ({ call, isCarriedOut: false })), 4],
])("with two calls under way, all is stored once and in order when the first %s", async (_what, lost, calls) => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 1, "warm-up");
  await using line = loseCalls(lost);
  const first = fresh.log.append({ event: { n: 1 }, channels: ["numbers"] });
  await until(() => line.calls === 1);
  const others = numbers(60).map((n) => fresh.log.append({ event: { n: n + 1 }, channels: ["numbers"] }));
  await until(() => line.calls === 2);
  line.answer();
  await Promise.all([first, ...others]);
  expect(line.calls).toBe(calls);
  expect(await readNumbers(fresh.log)).toEqual(numbers(61));
});

test("an append that was on its way once has an unknown outcome, whatever the last try met", async () => {
  await using fresh = startFreshLog(redis.store, { retryMs: 150 });
  await appendNumbers(fresh.log, 1, "warm-up");
  const unknown = new KsiError("STORE_UNAVAILABLE", "No answer.", { details: { outcome: "unknown" } });
  const never = Array.from({ length: 20 }, (_, i) => ({ call: i + 2, isCarriedOut: false }));
  await using line = loseCalls([{ call: 1, isCarriedOut: false, error: unknown }, ...never]);
  line.answer();
  const appended = fresh.log.append({ event: { n: 1 }, channels: ["numbers"] });
  await expect(appended).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", details: { outcome: "unknown" } });
  expect(line.calls).toBeGreaterThan(1);
});

test("what follows a call that Redis refuses for good is stored all the same", async () => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 1, "warm-up");
  await redis.store.commands.set(fresh.keys.channel("no-stream"), "x");
  await using line = loseCalls([]);
  const refused = fresh.log.append({ event: { n: 0 }, channels: ["no-stream"] });
  const outcome = expect(refused).rejects.toMatchObject({ code: "INTERNAL" });
  await until(() => line.calls === 1);
  const others = numbers(60).map((n) => fresh.log.append({ event: { n }, channels: ["numbers"] }));
  await until(() => line.calls === 2);
  line.answer();
  await Promise.all([outcome, ...others]);
  expect(await readNumbers(fresh.log)).toEqual(numbers(60));
});

test("a channel is capped by length", async () => {
  await using fresh = startFreshLog(redis.store, { maxEvents: 200 });
  await appendNumbers(fresh.log, 2_000);
  const length = await redis.store.commands.xlen(fresh.keys.channel("numbers"));
  expect(length).toBeGreaterThanOrEqual(200);
  expect(length).toBeLessThan(400);
});

test("a page says where the next one begins, and the last one does not", async () => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 5);
  const first = await fresh.log.page<Numbered>("numbers", { limit: 3 });
  expect(first.entries.map(({ event }) => event.n)).toEqual([1, 2, 3]);
  const second = await fresh.log.page<Numbered>("numbers", { after: first.next, limit: 3 });
  expect(second.entries.map(({ event }) => event.n)).toEqual([4, 5]);
  expect(second.next).toBeUndefined();
  expect(await fresh.log.page("nothing-here", { limit: 3 })).toEqual({ entries: [] });
});

test("a channel that was deleted and made again repeats no number", async () => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 3);
  const { entries: before } = await fresh.log.page("numbers", { limit: 10 });
  await redis.store.commands.del(fresh.keys.channel("numbers"));
  await appendNumbers(fresh.log, 1);
  const { entries: after } = await fresh.log.page("numbers", { limit: 10 });
  expect(after[0]?.position.epoch).toBe(before[0]?.position.epoch);
  expect(after[0]?.position.number).toBeGreaterThan(before[2]?.position.number ?? Number.POSITIVE_INFINITY);
});

test("tenants do not see each other's events", async () => {
  await using fresh = startFreshLog(redis.store);
  await appendNumbers(fresh.log, 1);
  expect(await fresh.logs.tenant("somebody-else").page("numbers", { limit: 10 })).toEqual({ entries: [] });
});

test("appends, follows and pages say so when Redis is gone", async () => {
  await using own = await startFreshRedis();
  await using fresh = startFreshLog(own.store);
  await own.store.close();
  const outcomes = await Promise.allSettled([
    fresh.log.append({ event: {}, channels: ["c"] }),
    fresh.log.follow("c", { from: "now" }),
    fresh.log.page("c", { limit: 1 }),
  ]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "STORE_UNAVAILABLE" } });
});

test("closing stores what was appended, and takes no more", async () => {
  await using fresh = startFreshLog(redis.store);
  const appended = appendNumbers(fresh.log, 10);
  await fresh.logs.close();
  await appended;
  await expect(fresh.log.append({ event: {}, channels: ["c"] })).rejects.toMatchObject({ code: "SHUTTING_DOWN" });
});

interface LostCall {
  /** Counted from 1. */
  call: number;
  isCarriedOut: boolean;
  error?: Error;
}

/** Stands between the log and Redis. Answers are held back until `answer`; the caller of a lost call sees an error then. */
function loseCalls(lost: readonly LostCall[]) {
  const { commands } = redis.store;
  const original = commands.evalsha.bind(commands);
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  const evalsha = async (...args: Parameters<typeof original>) => {
    calls += 1;
    const loss = lost.find(({ call }) => call === calls);
    const reply = loss?.isCarriedOut === false ? undefined : original(...args);
    await Promise.allSettled([reply]);
    await gate.promise;
    if (loss) throw loss.error ?? new Error("Connection is closed.");
    return await reply;
  };
  commands.evalsha = evalsha as typeof commands.evalsha;
  return {
    get calls() {
      return calls;
    },
    answer: () => gate.resolve(),
    async [Symbol.asyncDispose]() {
      commands.evalsha = original;
    },
  };
}

async function appendNumbers(log: EventLog, count: number, channel = "numbers"): Promise<void> {
  await Promise.all(numbers(count).map((n) => log.append({ event: { n }, channels: [channel] })));
}

async function readNumbers(log: EventLog, channel = "numbers"): Promise<number[]> {
  const { entries } = await log.page<Numbered>(channel, { limit: 10_000 });
  return entries.map(({ event }) => event.n);
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

async function countCalls(command: string): Promise<number> {
  const stats = await redis.store.commands.info("commandstats");
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}
