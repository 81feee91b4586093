import { isAlive } from "@ksi/testing";
import { expect, test } from "vitest";
import { type AgentLimits, type AgentProcess, startAgentProcess } from "./agent-process.ts";
import type { Reaper } from "./reaper.ts";
import { type RunnerBench, startRunnerBench } from "./testing/runner-bench.ts";

test("stdin goes in whole, and comes out as lines, the last one also without an end", async () => {
  await using bench = await startRunnerBench();
  const agent = await startShell(bench, "cat");
  const lines = ["", "short", "ü€😀".repeat(50_000), "no end"];
  agent.send(lines.join("\n"));
  expect(await Array.fromAsync(agent.lines)).toEqual(lines);
  expect(await agent.ended).toEqual({ code: 0, signal: null, isReaped: false, stderr: "" });
});

test("how it ended is told, with the last of its stderr", async () => {
  await using bench = await startRunnerBench();
  const agent = await startShell(bench, "echo first >&2; echo last >&2; exit 7", { maxStderrBytes: 5 });
  agent.send("never read".repeat(100_000));
  expect(await agent.ended).toEqual({ code: 7, signal: null, isReaped: false, stderr: "last\n" });
});

test("output over a limit is an error at the line that crosses it", async () => {
  await using bench = await startRunnerBench();
  const agent = await startShell(bench, "echo fine; head -c 3000000 /dev/zero; sleep 74", { maxLineBytes: 1_000_000 });
  const read: string[] = [];
  const reading = (async () => {
    for await (const line of agent.lines) read.push(line);
  })();
  await expect(reading).rejects.toMatchObject({ code: "RUNNER_OUTPUT_TOO_LARGE" });
  expect(read).toEqual(["fine"]);
  await agent.end();
  expect(isAlive(agent.pid)).toBe(false);
});

test("nothing is a word of a shell", async () => {
  await using bench = await startRunnerBench();
  const agent = await start(bench, { file: "/bin/echo", args: ["$HOME", "`id`", "a b", ";", "*"] });
  expect(await Array.fromAsync(agent.lines)).toEqual(["$HOME `id` a b ; *"]);
  await agent.ended;
});

test("a polite agent is interrupted and never killed, however often it is asked", async () => {
  await using bench = await startRunnerBench();
  const agent = await startShell(bench, "trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.02; done");
  const lines = agent.lines[Symbol.asyncIterator]();
  expect(await lines.next()).toMatchObject({ value: "ready" });
  const ends = [agent.end(), agent.end()];
  expect(await lines.next()).toMatchObject({ value: "bye" });
  expect(await lines.next()).toMatchObject({ done: true });
  expect(await Promise.all(ends)).toMatchObject([{ code: 5 }, { code: 5 }]);
});

test.for([
  ["more than the limits give", 20_000, `trap '(trap "" INT TERM; exec sleep 0.3); exit 5' INT`, { code: 5 }],
  ["half for the interrupt, then SIGTERM's", 1_500, "trap '' INT", { signal: "SIGTERM" }],
  ["none at all", 0, "trap 'exit 5' INT TERM", { signal: "SIGKILL" }],
] as const)("the time that an agent has to leave is what its end grants: %s", async ([, graceMs, trap, exit]) => {
  await using bench = await startRunnerBench();
  const limits = { interruptMs: 50, terminateMs: 50 };
  const agent = await startShell(bench, `${trap}; echo ready; while :; do sleep 0.02; done`, limits);
  await agent.lines[Symbol.asyncIterator]().next();
  expect(await agent.end(graceMs)).toMatchObject(exit);
});

test("a second end hurries the first, and never slows it", async () => {
  await using bench = await startRunnerBench();
  const deaf = "trap '' INT TERM; echo ready; while :; do sleep 0.02; done";
  const agent = await startShell(bench, deaf, { interruptMs: 60_000, terminateMs: 60_000 });
  await agent.lines[Symbol.asyncIterator]().next();
  void agent.end();
  void agent.end(20);
  expect(await agent.end(60_000)).toMatchObject({ signal: "SIGKILL" });
});

test("a program that is not there rejects, and leaves nothing to guard", async () => {
  await using bench = await startRunnerBench();
  await expect(start(bench, { file: "/no/such/program", args: [] })).rejects.toMatchObject({ code: "ENOENT" });
});

test("a folder that has become a file rejects, and leaves nothing to guard", async () => {
  await using bench = await startRunnerBench();
  let guarded = 0;
  const guard: Reaper["guard"] = (run_id) => {
    const real = bench.reaper.guard(run_id);
    guarded++;
    const ended = () => {
      guarded--;
      real.ended();
    };
    return { ...real, ended };
  };
  const program = { file: "/bin/cat", args: [], cwd: "/dev/null" };
  await expect(start({ ...bench, reaper: { ...bench.reaper, guard } }, program)).rejects.toMatchObject({
    code: "ENOTDIR",
  });
  expect(guarded).toBe(0);
});

function startShell(bench: RunnerBench, script: string, limits?: Partial<AgentLimits>): Promise<AgentProcess> {
  return start(bench, { file: "/bin/sh", args: ["-c", script], ...(limits && { limits }) });
}

interface Program {
  readonly cwd?: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly limits?: Partial<AgentLimits>;
}

function start({ cwd, reaper, logger }: RunnerBench, program: Program): Promise<AgentProcess> {
  return startAgentProcess({ run_id: "run-1", cwd, reaper, logger, env: { PATH: process.env.PATH ?? "" }, ...program });
}
