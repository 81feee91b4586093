import { expect, test } from "vitest";
import { run } from "./churn.ts";

const seed = 20_261_121;

test("a daemon whose clients come and go holds no more afterwards than before", async () => {
  const report = await run({ seed, isLong: false, log: () => undefined });
  console.info(`churn, seed ${seed}: ${JSON.stringify(report.counts)}`);
  expect(report.failures).toEqual([]);
  // Else nothing would have been shown.
  expect(report.counts.visits).toBeGreaterThanOrEqual(150);
  expect(report.counts.cuts).toBeGreaterThan(0);
});

test("a connection that is kept behind each visit is reported, by its count and by the memory that it costs", async () => {
  const leak = new URL("churn/leak.ts", import.meta.url);
  const { failures } = await run({ seed, isLong: false, log: () => undefined }, [leak]);
  const kinds = failures.map((failure) => failure.slice(0, failure.indexOf(":")));
  expect(kinds).toEqual(expect.arrayContaining(["listeners", "emitters", "sockets", "the heap grows"]));
});
