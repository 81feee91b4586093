/**
 * `npm run chaos -- [scenario…] [--seed N] [--short]`: breaks things on purpose and says whether the promises held. Exits
 * with 1 where one did not. The long form writes results/chaos-<scenario>.json, which is checked in.
 */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startStore } from "@ksi/core";
import { createTempFolder } from "@ksi/testing";
import type { Scenario, ScenarioReport } from "./scenario.ts";
import { silentLogger } from "./silent-logger.ts";

const scenarios: Record<string, () => Promise<Scenario>> = {
  drops: () => import("./drops.ts"),
  kills: () => import("./kills.ts"),
  churn: () => import("./churn.ts"),
  inboxes: () => import("./inboxes.ts"),
};
const results = fileURLToPath(new URL("../../results/", import.meta.url));

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: "string" }, short: { type: "boolean", default: false } },
});
const wanted = positionals.length > 0 ? positionals : Object.keys(scenarios);
const unknown = wanted.filter((name) => !(name in scenarios));
if (unknown.length > 0)
  refuse(`Unknown scenario ${unknown.join(", ")}. There are: ${Object.keys(scenarios).join(", ")}.`);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!Number.isSafeInteger(seed) || seed < 0) refuse("--seed must be a whole number.");

for (const name of wanted) {
  const isLong = !values.short;
  console.log(`${name}: seed ${seed}, the ${isLong ? "long" : "short"} form`);
  const scenario = await scenarios[name]?.();
  if (!scenario) continue;
  const startedAt = performance.now();
  const report = await scenario.run({ seed, isLong, log: (line) => console.log(`  ${line}`) });
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  print(report, seconds);
  if (report.failures.length > 0) process.exitCode = 1;
  if (isLong) await record(name, report, seconds);
}

function print({ counts, failures }: ScenarioReport, seconds: number): void {
  for (const [what, count] of Object.entries(counts)) console.log(`  ${what.padEnd(28)} ${count}`);
  for (const failure of failures) console.log(`  FAILED ${failure}`);
  console.log(`  ${failures.length === 0 ? "held" : `${failures.length} failures`}, after ${seconds} s\n`);
}

async function record(scenario: string, report: ScenarioReport, seconds: number): Promise<void> {
  const date = new Date().toISOString();
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const content = { scenario, seed, date, commit, machine: await describeMachine(), seconds, ...report };
  await mkdir(results, { recursive: true });
  await writeFile(`${results}chaos-${scenario}.json`, `${JSON.stringify(content, null, 2)}\n`);
}

async function describeMachine() {
  await using folder = await createTempFolder();
  await using store = await startStore({ dir: folder.path, isDurable: false, logger: silentLogger });
  const { version: redis } = await store.info();
  return { cpu: cpus()[0]?.model.trim(), cores: availableParallelism(), node: process.version, redis };
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
