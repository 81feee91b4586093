import { expect, test } from "vitest";
import { run } from "./kills.ts";

const seed = 11;

test("whoever is killed or stopped, no run is lost or has two results, and no process or event is left behind", async () => {
  const report = await run({ seed, isLong: false, log: () => undefined });
  console.info(`kills, seed ${seed}: ${JSON.stringify(report.counts)}`);
  expect(report.failures).toEqual([]);
  // Else nothing would have been shown.
  for (const what of ["runs", "servers_killed", "workers_killed", "workers_stopped", "redis_killed", "resumes"]) {
    expect(report.counts[what], what).toBeGreaterThan(0);
  }
});
