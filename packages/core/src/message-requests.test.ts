import { until } from "@ksi/testing";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { channels } from "./redis/keys.ts";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const question = { source: "user", target: "bob", event_type: "x.q", payload: 1, correlation_id: "c" };

test.each(['"', "\\", "a\nb", "\0", "  ", "}:agents:bob:inbox", "é\u2028"])(
  "the correlation id %j ties an answer to its request",
  async (id) => {
    await using opened = await startFreshMessages(redis.store);
    const asked = opened.port.request({ ...question, correlation_id: id, timeout_ms: 10_000 });
    await untilAsked(opened, id);
    await answer(opened, "yes", id);
    expect(await asked).toMatchObject({ status: "replied", reply: { payload: "yes", correlation_id: id } });
    expect(await opened.told("message.delivered")).toMatchObject([{ payload: { correlation_id: id } }]);
  },
);

test("a request is not answered by what was left for one whose asker has died", async () => {
  await using opened = await startFreshMessages(redis.store);
  // As a process leaves it that dies while it waits.
  await redis.store.commands.set(opened.fresh.keys.request("c"), "user 1");
  await answer(opened, "old");
  const asked = opened.port.request({ ...question, timeout_ms: 10_000 });
  await untilAsked(opened);
  await answer(opened, "new");
  expect((await asked).reply.payload).toBe("new");
});

test("a request whose time is over does not end the wait of the next one with its correlation id", async () => {
  await using opened = await startFreshMessages(redis.store);
  const first = opened.port.request({ ...question, timeout_ms: 300 });
  const isOver = expect(first).rejects.toMatchObject({ code: "TIMEOUT" });
  await untilAsked(opened);
  // Redis's clock is a little ahead of that of the process, which began to count later.
  await redis.store.commands.del(opened.fresh.keys.request("c"));
  const second = opened.port.request({ ...question, timeout_ms: 10_000 });
  await isOver;
  await answer(opened, "yes");
  expect((await second).reply.payload).toBe("yes");
});

test("an answer that was in time and is heard late is the answer, not lost", async () => {
  await using opened = await startFreshMessages(redis.store);
  const { log } = opened.fresh;
  const follow = log.follow.bind(log);
  vi.spyOn(log, "follow").mockImplementation(async (channel, options) => {
    await answer(opened, "yes");
    return await follow(channel, { ...options, from: "now" });
  });
  expect((await opened.port.request({ ...question, timeout_ms: 300 })).reply.payload).toBe("yes");
});

test("once nobody waits any more an answer is a message like any other", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: ["bob", "user"] });
  const leaving = new AbortController();
  const cancelled = opened.port.request({ ...question, timeout_ms: 10_000 }, leaving.signal).catch(({ code }) => code);
  await untilAsked(opened);
  leaving.abort();
  expect(await cancelled).toBe("CANCELLED");
  await answer(opened, 1);

  const closed = opened.port.request({ ...question, timeout_ms: 10_000 }).catch(({ code }) => code);
  await untilAsked(opened);
  await opened.fresh.logs.close();
  expect(await closed).toBe("SHUTTING_DOWN");
  await answer(opened, 2);
  expect(await redis.store.commands.xlen(opened.fresh.keys.channel(channels.inbox("user")))).toBe(2);
});

async function untilAsked({ fresh }: FreshMessages, id = "c"): Promise<void> {
  await until(() => redis.store.commands.exists(fresh.keys.request(id)));
}

async function answer({ port }: FreshMessages, payload: string | number, correlation_id = "c"): Promise<void> {
  await port.send({ source: "bob", target: "user", event_type: "x.a", payload, correlation_id });
}
