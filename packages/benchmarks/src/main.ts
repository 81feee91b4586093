/**
 * `npm run bench [-- question … --short]`: asks every question (or the named ones) in one run. A whole run writes the raw
 * numbers to results/latest.json and the table to results/README.md; one of some questions, with `--short`, or in which
 * a question failed, only prints its table.
 */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { measureCatchUp } from "./catch-up.ts";
import { measureDeliveryDelay } from "./delivery-delay.ts";
import { measureDispatch } from "./dispatch.ts";
import { measureDurability } from "./durability.ts";
import { measureFanOut } from "./fan-out.ts";
import { measureGateway } from "./gateway.ts";
import { measureIdleMemory } from "./idle-memory.ts";
import { measureLogThroughput } from "./log-throughput.ts";
import { type Answer, type Effort, type Goal, isMet, type Row } from "./question.ts";
import { measureStartup } from "./startup.ts";
import { measureTurnOverhead } from "./turn-overhead.ts";

const questions: Record<string, (effort: Effort) => Promise<Answer>> = {
  startup: measureStartup,
  dispatch: measureDispatch,
  "turn-overhead": measureTurnOverhead,
  gateway: measureGateway,
  "log-throughput": measureLogThroughput,
  "fan-out": measureFanOut,
  "delivery-delay": measureDeliveryDelay,
  "catch-up": measureCatchUp,
  "idle-memory": measureIdleMemory,
  durability: measureDurability,
};
const results = fileURLToPath(new URL("../results/", import.meta.url));

const effort: Effort = { isShort: process.argv.includes("--short") };
const wanted = process.argv.slice(2).filter((argument) => argument !== "--short");
const unknown = wanted.filter((name) => !(name in questions));
if (unknown.length > 0) {
  console.error(`Unknown question ${unknown.join(", ")}. There are: ${Object.keys(questions).join(", ")}.`);
  process.exit(2);
}

const answers: Answer[] = [];
for (const [name, measure] of Object.entries(questions)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`${name} …`);
  try {
    answers.push(await measure(effort));
  } catch (thrown) {
    // The others took their time; what they found is still printed.
    console.error(`${name} failed:`, thrown);
    process.exitCode = 1;
  }
}

const report = {
  date: new Date().toISOString(),
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  answers,
};
const table = render(report);
console.log(table);
if (wanted.length === 0 && !effort.isShort && !process.exitCode) {
  await mkdir(results, { recursive: true });
  await writeFile(`${results}latest.json`, `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(`${results}README.md`, table);
}

function render({ date, commit, machine, answers }: typeof report): string {
  const sections = answers.map(({ question, rows }) =>
    [
      `## ${question}`,
      "",
      "| what | ours | theirs | ratio | goal | beside |",
      "| --- | --- | --- | --- | --- | --- |",
      ...rows.map(renderRow),
      "",
    ].join("\n"),
  );
  return [
    `# Benchmarks`,
    "",
    `${date}, commit ${commit}, ${machine}. One run; raw numbers in latest.json.`,
    "",
    ...sections,
  ].join("\n");
}

function renderRow(row: Row): string {
  const { what, unit, ours, theirs, ratio, beside } = row;
  const figure = (value: number | undefined) => (value === undefined ? "" : `${value} ${unit}`);
  return `| ${what} | ${figure(ours)} | ${figure(theirs)} | ${ratio ?? ""} | ${renderGoals(row)} | ${beside} |`;
}

function renderGoals({ goals = [], ...row }: Row): string {
  const verdict = (goal: Goal) => (isMet(goal, row) ? "met" : "**lost**");
  return goals.map((goal) => `${goal.of} ${goal.is} ${goal.value}: ${verdict(goal)}`).join("; ");
}
