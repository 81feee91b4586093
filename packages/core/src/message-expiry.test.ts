import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { take } from "./testing/fresh-log.ts";
import { startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";
import { redisTime, untilRedisTime } from "./testing/redis-time.ts";

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

const hourMs = 3_600_000;

test.each([-hourMs, hourMs])(
  "a message lives as long as it says by the clock of Redis, though that of its server is off by %d ms",
  async (offMs) => {
    await using bob = await startFreshMessages(redis.store);
    setClock(offMs);
    const before = await redisTime(redis.store);
    await bob.send(1, { ttl_ms: 60_000 });
    await bob.send(2, { ttl_ms: 200 });
    const after = await redisTime(redis.store);
    vi.restoreAllMocks();

    const looking = await bob.inbox({ from: "oldest" });
    const [first, second] = await take(looking, 2);
    await looking.return?.();
    const expiresMs = Date.parse(first?.event.expires_at ?? "");
    expect(expiresMs).toBeGreaterThanOrEqual(before + 60_000);
    expect(expiresMs).toBeLessThanOrEqual(after + 60_000);
    await untilRedisTime(redis.store, second?.event.expires_at);
    const inbox = await bob.inbox();
    await bob.send(3);
    expect((await take(inbox, 2)).map(({ event }) => event.payload)).toEqual([1, 3]);
    await inbox.return?.();
  },
);

test.each([-hourMs, hourMs])(
  "an inbox is given what has not expired by the clock of Redis, though that of its server is off by %d ms",
  async (offMs) => {
    await using bob = await startFreshMessages(redis.store);
    await bob.send(0);
    const looking = await bob.inbox({ from: "oldest" });
    const [start] = await take(looking, 1);
    setClock(offMs);
    await bob.send(1, { ttl_ms: 200 });
    await bob.send(2, { ttl_ms: 60_000 });
    const [brief] = await take(looking, 1);
    await looking.return?.();
    await untilRedisTime(redis.store, brief?.event.expires_at);
    for (const lastEventId of [start?.cursor, undefined]) {
      const inbox = await bob.inbox({ lastEventId });
      const expected = lastEventId === undefined ? [0, 2] : [2];
      const given = await take(inbox, expected.length);
      expect(given.map(({ event }) => event.payload)).toEqual(expected);
      await inbox.return?.();
    }
  },
);

function setClock(offMs: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + offMs);
}
