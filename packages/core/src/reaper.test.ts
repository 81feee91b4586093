import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { type ClaudeStandIn, createClaudeStandIn, findByMarker, isAlive, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startReaper } from "./reaper.ts";

test("nothing of a daemon outlives its SIGKILL: agents and grandchildren that ignore signals, then the reaper", async () => {
  await using daemon = await startDaemon("#fork #hang #ignore=SIGINT,SIGTERM");
  const children = await until(async () => {
    const forked = await daemon.standIn.children();
    return forked.length === 3 && forked;
  });
  const pids = [await daemon.reaper(), ...findByMarker(daemon.marker), ...children.map(({ pid }) => pid)];
  expect(pids.length).toBeGreaterThanOrEqual(5);
  daemon.process.kill("SIGKILL");
  await until(() => pids.every((pid) => !isAlive(pid)), { deadlineMs: 5_000 });
});

test.each(["SIGINT", "SIGHUP", "SIGTERM"] as const)(
  "%s to the daemon's whole group leaves the reaper at its post",
  async (signal) => {
    await using daemon = await startDaemon("#hang");
    const pids = [await daemon.reaper(), ...findByMarker(daemon.marker)];
    process.kill(-pidOf(daemon.process), signal);
    await until(() => pids.every((pid) => !isAlive(pid)), { deadlineMs: 5_000 });
  },
);

test("an agent that was announced and not yet recorded is ended too", async () => {
  await using reaper = startReaper({ logger: { warn: () => {} } });
  const { environment } = reaper.guard("run-1");
  const agent = spawn("sleep", ["71"], { detached: true, stdio: "ignore", env: { ...process.env, ...environment } });
  const exited = once(agent, "exit");
  await reaper.close();
  await exited;
  expect(agent.signalCode).toBe("SIGTERM");
});

test("with nothing left to guard, closing ends the reaper at once and touches nobody", async () => {
  const reaper = startReaper({ logger: { warn: () => {} } });
  const guard = reaper.guard("run-1");
  const bystander = spawn("sleep", ["72"], { stdio: "ignore", env: { ...process.env, ...guard.environment } });
  guard.started(pidOf(bystander));
  guard.ended();
  await reaper.close();
  await reaper.close();
  expect(isAlive(pidOf(bystander))).toBe(true);
  bystander.kill("SIGKILL");
});

test("a reaper that dies is replaced, and told again of what runs", async () => {
  const warned: string[] = [];
  await using reaper = startReaper({ logger: { warn: (_fields, message) => void warned.push(message) } });
  const { environment, started } = reaper.guard("run-1");
  const agent = spawn("sleep", ["73"], { detached: true, stdio: "ignore", env: { ...process.env, ...environment } });
  started(pidOf(agent));
  const first = await until(() => reaperOf(process.pid, reaper.marker));
  process.kill(first, "SIGKILL");
  await until(() => warned.length > 0);
  reaper.guard("run-2").ended();
  await until(() => reaperOf(process.pid, reaper.marker));
  const exited = once(agent, "exit");
  await reaper.close();
  await exited;
});

/** A real parent process with one agent, as a daemon is; it prints its marker when the agent has the prompt. */
async function startDaemon(prompt: string) {
  const standIn = await createClaudeStandIn();
  const program = `
    import { startReaper } from ${JSON.stringify(new URL("./reaper.ts", import.meta.url).href)};
    import { startAgentProcess } from ${JSON.stringify(new URL("./agent-process.ts", import.meta.url).href)};
    const logger = { warn() {}, error() {} };
    const reaper = startReaper({ logger });
    const env = { PATH: process.env.PATH };
    const agent = await startAgentProcess({ run_id: "r", file: ${JSON.stringify(standIn.bin)}, args: [], cwd: "/", env, reaper, logger });
    agent.send(${JSON.stringify(prompt)});
    for await (const line of agent.lines) { console.log(reaper.marker); break; }
    setInterval(() => {}, 1e6);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
    // A group of its own, as a terminal gives it.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const marker = await firstLine(parent, standIn);
  return {
    process: parent,
    standIn,
    marker,
    reaper: () => until(() => reaperOf(parent.pid, marker)),
    async [Symbol.asyncDispose]() {
      parent.kill("SIGKILL");
      await until(() => findByMarker(marker).length === 0);
      await standIn[Symbol.asyncDispose]();
    },
  };
}

async function firstLine(parent: ChildProcess, standIn: ClaudeStandIn): Promise<string> {
  if (!parent.stdout) throw new Error("the daemon has no stdout");
  for await (const line of createInterface({ input: parent.stdout })) return line;
  await standIn[Symbol.asyncDispose]();
  throw new Error("the daemon ended before its agent spoke");
}

/** Found by its command line, since it carries no marker. */
function reaperOf(parent: number | undefined, marker: string): number | undefined {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => isReaper(pid, parent, marker));
}

function isReaper(pid: number, parent: number | undefined, marker: string): boolean {
  try {
    const [, , , ofParent] = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/\(.*\)/, "name")
      .split(" ");
    const isChild = Number(ofParent) === parent;
    return isChild && isAlive(pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(marker);
  } catch {
    // It ended while we looked.
    return false;
  }
}

/** Never a default here: a signal to process 0 goes to everybody in the test's own group. */
function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error("the process could not be started");
  return pid;
}
