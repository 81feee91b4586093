import { event as eventSchema } from "@ksi/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEvents } from "./events.ts";
import { channels } from "./redis/keys.ts";
import { startFreshLog, take } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const runId = "0193-run";

test("a published event goes to the firehose and nowhere else", async () => {
  await using fresh = startFreshLog(redis.store);
  const events = createEvents(fresh);
  const { status, id } = await events.publish({ source: "ci", event_type: "x.built", run_id: runId, payload: [1, {}] });
  expect(status).toBe("published");
  const { entries } = await fresh.log.page(channels.firehose, { limit: 10 });
  expect(entries.map(({ event }) => event)).toEqual([
    { id, source: "ci", event_type: "x.built", run_id: runId, payload: [1, {}], timestamp: expect.any(String) },
  ]);
  expect(eventSchema.parse(entries[0]?.event)).toEqual(entries[0]?.event);
  expect(await redis.store.commands.exists(fresh.keys.channel(channels.run(runId)))).toBe(0);
});

test("a subscription starts now, or at the oldest event, or after a cursor", async () => {
  await using fresh = startFreshLog(redis.store);
  const events = createEvents(fresh);
  const publish = (payload: number) => events.publish({ source: "ci", event_type: "x.n", payload });
  await publish(1);
  const { entries } = await fresh.log.page(channels.firehose, { limit: 10 });
  const fromNow = await events.subscribe({}, {});
  await publish(2);
  const fromOldest = await events.subscribe({}, { from: "oldest" });
  const resumed = await events.subscribe({}, { lastEventId: entries[0]?.cursor, from: "oldest" });
  await publish(3);
  expect(fromNow.channel).toBe("events:broadcast");
  for (const [follow, expected] of [
    [fromNow, [2, 3]],
    [fromOldest, [1, 2, 3]],
    [resumed, [2, 3]],
  ] as const) {
    const iterator = follow[Symbol.asyncIterator]();
    expect((await take(iterator, expected.length)).map(({ event }) => event.payload)).toEqual(expected);
    await iterator.return?.();
  }
});

test("a filtered subscription resumes after its last match, which is a gap when what followed was trimmed", async () => {
  await using fresh = startFreshLog(redis.store);
  const events = createEvents(fresh);
  const filter = { types: ["x.wanted"] };
  const publish = (event_type: string) => events.publish({ source: "ci", event_type, payload: null });
  await publish("x.wanted");
  for (let other = 0; other < 3; other++) await publish("x.other");
  const iterator = (await events.subscribe(filter, { from: "oldest" }))[Symbol.asyncIterator]();
  const [match] = await take(iterator, 1);
  await iterator.return?.();

  const resume = async () => (await events.subscribe(filter, { lastEventId: match?.cursor }))[Symbol.asyncIterator]();
  const resumed = await resume();
  const next = take(resumed, 1);
  await publish("x.wanted");
  expect((await next)[0]?.event.event_type).toBe("x.wanted");
  await resumed.return?.();

  await redis.store.commands.xtrim(fresh.keys.channel(channels.firehose), "MAXLEN", 2);
  await expect(resume()).rejects.toMatchObject({ code: "HISTORY_TRIMMED", details: { reason: "trimmed" } });
});

test.each([
  [{}, ["1", "2", "3", "4"]],
  [{ types: ["x.build.done"] }, ["2"]],
  [{ types: ["x.build.*", "y"] }, ["1", "2"]],
  [{ types: ["*"] }, ["1", "2", "3", "4"]],
  [{ types: [] }, []],
  [{ source: "ci" }, ["1", "3"]],
  [{ source: "ci", types: ["x.build.*"] }, ["1"]],
  [{ run_id: runId }, ["3"]],
  [{ agent_id: "bob", source: undefined }, ["4"]],
])("a filter of %j lets pass the events that match all of it", async (filter, expected) => {
  await using fresh = startFreshLog(redis.store);
  const events = createEvents(fresh);
  const follow = await events.subscribe(filter, {});
  await events.publish({ source: "ci", event_type: "x.build.started", payload: "1" });
  await events.publish({ source: "user", event_type: "x.build.done", payload: "2" });
  await events.publish({ source: "ci", event_type: "x.other", run_id: runId, payload: "3" });
  await events.publish({ source: "user", event_type: "x.build", agent_id: "bob", payload: "4" });
  const iterator = follow[Symbol.asyncIterator]();
  const received = await take(iterator, expected.length);
  expect(received.map(({ event }) => event.payload)).toEqual(expected);
  await iterator.return?.();
});
