import { afterAll, beforeAll, expect, test } from "vitest";
import { take } from "./testing/fresh-log.ts";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("an inbox begins with what nobody has acknowledged, whichever epochs numbered it", async () => {
  await using bob = await startOnLossyRedis();
  const first = await bob.send(1);
  await bob.send(2);
  await beginEpoch(bob);
  await bob.send(3);
  await beginEpoch(bob);
  for (const expected of [
    [1, 2, 3, 4],
    [2, 3, 4, 5],
  ]) {
    const inbox = await bob.inbox();
    const all = take(inbox, 4);
    await bob.send(expected[3] ?? 0);
    expect((await all).map(({ event }) => event.payload)).toEqual(expected);
    await inbox.return?.();
    await bob.port.ack({ agent_id: "bob", ids: [first] });
  }
});

test("the first message of an epoch that began before an inbox was opened is no gap, and one that begins later is told", async () => {
  await using bob = await startOnLossyRedis();
  await bob.port.ack({ agent_id: "bob", ids: [await bob.send(1)] });
  await beginEpoch(bob);
  const inbox = await bob.inbox();
  const next = take(inbox, 1);
  await bob.send(2);
  expect((await next)[0]?.event.payload).toBe(2);

  const more = take(inbox, 1);
  const isTold = expect(more).rejects.toMatchObject({
    code: "HISTORY_TRIMMED",
    details: { reason: "epoch_changed", oldest: expect.any(String) },
  });
  await beginEpoch(bob);
  await bob.send(3);
  await isTold;
});

/** On one that may come back without its last writes. */
async function startOnLossyRedis(): Promise<FreshMessages> {
  return await startFreshMessages({ ...redis.store, mayLoseTail: true });
}

/** As the first append does after Redis was restarted: it has another replication id then. */
async function beginEpoch({ fresh }: FreshMessages): Promise<void> {
  const { commands } = redis.store;
  const [epoch] = (await commands.get(fresh.keys.epoch))?.split(" ") ?? [];
  await commands.set(fresh.keys.epoch, `${epoch} ${"a".repeat(40)}`);
}
