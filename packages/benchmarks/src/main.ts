/**
 * `npm run bench [-- question … --short]`: asks every question (or the named ones) in one run, and prints the table. What
 * was answered takes the place of the last answer in results/latest.json, raw numbers included, and in the table of
 * results/README.md, where each has its own date and commit. With `--short`, or where a question failed, nothing is kept.
 */
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
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
import { measureMessageCosts } from "./message-costs.ts";
import { measureMessageThroughput } from "./message-throughput.ts";
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
  "message-throughput": measureMessageThroughput,
  "message-costs": measureMessageCosts,
};
const results = fileURLToPath(new URL("../results/", import.meta.url));

const effort: Effort = { isShort: process.argv.includes("--short") };
const wanted = process.argv.slice(2).filter((argument) => argument !== "--short");
const unknown = wanted.filter((name) => !(name in questions));
if (unknown.length > 0) {
  console.error(`Unknown question ${unknown.join(", ")}. There are: ${Object.keys(questions).join(", ")}.`);
  process.exit(2);
}

/** By question. */
type Results = Record<string, Answer & { date: string; commit: string; machine: string }>;

const facts = {
  date: new Date().toISOString(),
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
  machine: `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
};
const answers: Results = {};
for (const [name, measure] of Object.entries(questions)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`${name} …`);
  try {
    answers[name] = { ...facts, ...(await measure(effort)) };
  } catch (thrown) {
    // The others took their time; what they found is still printed.
    console.error(`${name} failed:`, thrown);
    process.exitCode = 1;
  }
}

console.log(render(answers));
if (!effort.isShort && !process.exitCode) {
  const kept: Results = { ...JSON.parse(await readFile(`${results}latest.json`, "utf8")), ...answers };
  await writeFile(`${results}latest.json`, `${JSON.stringify(kept, null, 1)}\n`);
  await writeFile(`${results}README.md`, render(kept));
}

function render(of: Results): string {
  const sections = Object.keys(questions).flatMap((name) => {
    const answer = of[name];
    if (!answer) return [];
    const { question, rows, date, commit, machine } = answer;
    return [
      `## ${question}`,
      "",
      `${name}, ${date}, commit ${commit}, ${machine}.`,
      "",
      "| what | ours | theirs | ratio | goal | beside |",
      "| --- | --- | --- | --- | --- | --- |",
      ...rows.map(renderRow),
      "",
    ];
  });
  return [
    "# Benchmarks",
    "",
    "The last answer to each question. Ours and theirs are of one run; raw numbers in latest.json.",
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
