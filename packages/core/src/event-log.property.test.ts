import type { Entry } from "@ksi/contract";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFreshLog, take } from "./testing/fresh-log.ts";
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

const channelNames = ["a", "b"];

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("follow" as const),
      channel: fc.constantFrom(...channelNames),
      /** Which part of what is there to start after. */
      after: fc.double({ min: 0, max: 1, noNaN: true }),
      process: fc.nat({ max: 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("disconnect" as const) }) },
);

test("whatever happens, each follower gets each event after its cursor once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 30 }), async (steps) => {
      await using here = startFreshLog(redis.store);
      await using there = startFreshLog(redis.store, { tenant: here.tenant });
      const logs = [here.log, there.log];
      const followers: { n: number; channel: string; iterator: AsyncIterator<Entry<Numbered>> }[] = [];
      const appends: Promise<void>[] = [];
      let appended = 0;

      for (const what of steps) {
        if (what.do === "append") {
          for (let i = 0; i < what.count; i++) {
            appended += 1;
            appends.push(here.log.append({ event: { n: appended }, channels: channelNames }));
          }
        } else if (what.do === "disconnect") {
          await redis.store.commands.call("CLIENT", "KILL", "TYPE", "pubsub");
        } else {
          const { entries } = await here.log.page<Numbered>(what.channel, { limit: 10_000 });
          const start = entries[Math.floor(what.after * entries.length) - 1];
          const log = logs[what.process] ?? here.log;
          const follow = await log.follow<Numbered>(what.channel, { after: start?.cursor });
          followers.push({ n: start?.event.n ?? 0, channel: what.channel, iterator: follow[Symbol.asyncIterator]() });
        }
        // Some read as they go, so that some are level with the channel and some behind when the next step comes.
        await Promise.all(
          followers.map(async (follower, i) => {
            if (i % 2 === 0 && follower.n < appended) follower.n = await expectNext(follower, 1);
          }),
        );
      }
      await Promise.all(appends);
      await Promise.all(followers.map((follower) => expectNext(follower, appended - follower.n)));
    }),
    { seed: 20_261_121, numRuns: 40, endOnFailure: true },
  );
});

/** Reads `count` events, which must be those directly after `n`. Gives the number of the last. */
async function expectNext(
  { n, iterator }: { n: number; iterator: AsyncIterator<Entry<Numbered>> },
  count: number,
): Promise<number> {
  const entries = await take(iterator, count);
  expect(entries.map(({ event }) => event.n)).toEqual(Array.from({ length: count }, (_, i) => n + 1 + i));
  return n + count;
}
