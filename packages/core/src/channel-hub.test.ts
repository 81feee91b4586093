import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createChannelHub, type Member } from "./channel-hub.ts";
import { startFreshLog, take } from "./testing/fresh-log.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("followers get what was appended while their subscription was away, once and in order", async () => {
  await using fresh = startFreshLog(redis.store);
  const follow = (await fresh.log.follow<{ n: number }>("c"))[Symbol.asyncIterator]();
  const reading = take(follow, 300);
  for (let n = 1; n <= 300; n++) {
    if (n % 60 === 0) await redis.store.commands.call("CLIENT", "KILL", "TYPE", "pubsub");
    await fresh.log.append({ event: { n }, channels: ["c"] });
  }
  expect((await reading).map(({ event }) => event.n)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  await follow.return?.();
});

test("a channel that was left while the connection was away is not subscribed again", async () => {
  await using hub = openHub(redis);
  const [left, kept] = [createRecorder(), createRecorder()];
  const membership = hub.join("left", left);
  await Promise.all([membership.joined, hub.join("kept", kept).joined]);
  await redis.store.commands.call("CLIENT", "KILL", "TYPE", "pubsub");
  await until(() => hub.connection().status !== "ready");
  membership.leave();
  membership.leave();
  await until(() => kept.calls.includes("restored"));
  expect(await redis.store.commands.pubsub("CHANNELS", "*")).toEqual(["kept"]);
  expect(left.calls).toEqual([]);
});

test("a channel that is left and joined at once stays subscribed", async () => {
  await using hub = openHub(redis);
  const first = hub.join("c", createRecorder());
  await first.joined;
  first.leave();
  const again = createRecorder();
  await hub.join("c", again).joined;
  await redis.store.commands.publish("c", "1.1 {}");
  await until(() => again.calls.length > 0);
  expect(again.calls).toEqual(["1 entries"]);
});

test("whoever leaves before the connection stands does not wait for it any more", async () => {
  await using hub = openHub(redis);
  const membership = hub.join("c", createRecorder());
  membership.leave();
  await membership.joined;
});

test("members are dismissed when Redis stays away", async () => {
  const own = await startFreshRedis();
  await using hub = openHub(own, 50);
  const member = createRecorder();
  await hub.join("c", member).joined;
  await own.store.close();
  await until(() => member.calls.length > 0);
  expect(member.calls).toEqual(["dismissed STORE_UNAVAILABLE"]);
  const late = createRecorder();
  await hub.join("c", late).joined;
  expect(late.calls).toEqual(["dismissed STORE_UNAVAILABLE"]);
  await own[Symbol.asyncDispose]();
});

function openHub({ store }: FreshRedis, downMs?: number) {
  const connection = store.connect("hub", "subscriber");
  const hub = createChannelHub({ connect: () => connection, downMs });
  return { join: hub.join, connection: () => connection, [Symbol.asyncDispose]: async () => hub.close() };
}

function createRecorder(): Member & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    onEntries: (entries) => void calls.push(`${entries.length} entries`),
    onRestored: () => void calls.push("restored"),
    onDismissed: ({ code }) => void calls.push(`dismissed ${code}`),
  };
}
