import { expect, test } from "vitest";
import { run } from "./inboxes.ts";

const seed = 5;

test("whoever is killed, every accepted message reaches its agent and is acknowledged once, in each sender's order", async () => {
  const report = await run({ seed, isLong: false, log: () => undefined });
  console.info(`inboxes, seed ${seed}: ${JSON.stringify(report.counts)}`);
  expect(report.failures).toEqual([]);
  // Else nothing would have been shown.
  for (const what of [
    "messages",
    "given_again",
    "consumers_killed",
    "servers_killed",
    "workers_killed",
    "redis_killed",
  ]) {
    expect(report.counts[what], what).toBeGreaterThan(0);
  }
});
