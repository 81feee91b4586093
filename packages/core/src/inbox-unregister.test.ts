import { expect, test } from "vitest";
import { take } from "./testing/fresh-log.ts";
import { startFreshMessages } from "./testing/fresh-messages.ts";
import { startFreshRedis } from "./testing/fresh-redis.ts";

test("an agent that registers anew has an inbox without a past, also for a consumer that goes on", async () => {
  await using redis = await startFreshRedis();
  await using bob = await startFreshMessages(redis.store, { agents: ["bob", "carol"] });
  const { fresh, port } = bob;
  const inbox = await bob.inbox({ mode: "shared", prefetch: 1 });
  const forCarol = await bob.send(0, { target: "carol", ttl_ms: 1_000_000 });
  await bob.send(1, { ttl_ms: 1_000_000 });
  await take(inbox, 1);
  const later = await bob.send(2);
  const second = await bob.inbox({ mode: "shared", prefetch: 1 });
  await take(second, 1);
  await port.nack({ agent_id: "bob", ids: [later], delay_ms: 1_000_000 });

  await bob.agents.unregister("bob");
  const { commands } = redis.store;
  const members = await commands.zrange(fresh.keys.expiringMessages, "0", "-1");
  expect(members).toEqual([`carol ${forCarol}`]);
  expect(await commands.keys("*:inbox:consumer:bob:*")).toEqual([]);
  await bob.agents.register({ agent_id: "bob" });
  // Neither has acknowledged what it held.
  const next = [take(inbox, 1), take(second, 1)];
  await Promise.all([bob.send(3), bob.send(4)]);
  const given = (await Promise.all(next)).flat().map(({ event }) => event.payload);
  expect(new Set(given)).toEqual(new Set([3, 4]));
  await Promise.all([inbox.return?.(), second.return?.()]);
});
