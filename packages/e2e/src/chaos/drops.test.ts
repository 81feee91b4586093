import { expect, test } from "vitest";
import { run } from "./drops.ts";

const seed = 20_261_121;

test("subscribers that are cut off again and again get every event once and in order, and are told of every trim", async () => {
  const report = await run({ seed, isLong: false, log: () => undefined });
  console.info(`drops, seed ${seed}: ${JSON.stringify(report.counts)}`);
  expect(report.failures).toEqual([]);
  expect(report.counts).toMatchObject({ lost: 0, repeated: 0, out_of_order: 0 });
  // Else nothing would have been shown.
  expect(report.counts.drops).toBeGreaterThanOrEqual(150);
  expect(report.counts.drops_of_redis).toBeGreaterThan(0);
  expect(report.counts.trimmed_and_told).toBeGreaterThan(0);
});
