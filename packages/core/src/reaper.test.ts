import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createClaudeStandIn, findByMarker, isAlive, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startReaper } from "./reaper.ts";
import { beatMs, longestSilenceMs, workerTtlMs } from "./silence.ts";

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

test("a daemon that stands still loses its agents in time, is told when it goes on, and keeps the reaper for the next", async () => {
  await using daemon = await startDaemon("#fork #hang #ignore=SIGINT,SIGTERM");
  const children = await until(async () => {
    const forked = await daemon.standIn.children();
    return forked.length === 3 && forked;
  });
  const reaper = await daemon.reaper();
  const pids = [...findByMarker(daemon.marker), ...children.map(({ pid }) => pid)];
  expect(pids.length).toBeGreaterThanOrEqual(4);
  daemon.process.kill("SIGSTOP");
  const stoppedAt = performance.now();
  await until(() => pids.every((pid) => !isAlive(pid)), { deadlineMs: workerTtlMs - beatMs });
  expect(performance.now() - stoppedAt).toBeGreaterThan(2_000);

  expect(isAlive(reaper)).toBe(true);
  daemon.process.kill("SIGCONT");
  expect(await daemon.exit(0)).toEqual({ code: null, signal: "SIGKILL", isReaped: true });
  daemon.order("agent say this");
  expect(await daemon.exit(1)).toEqual({ code: 0, signal: null, isReaped: false });
  expect(await daemon.reaper()).toBe(reaper);
});

test("a daemon whose event loop is blocked for two seconds keeps its agents", async () => {
  await using daemon = await startDaemon("#start=4500 say this");
  await reaches(1_000);
  daemon.order("block 2000");
  expect(await daemon.exit(0)).toEqual({ code: 0, signal: null, isReaped: false });
});

test("a machine that stood still as a whole leaves everybody where they were", async () => {
  await using daemon = await startDaemon("#start=8000 say this");
  const reaper = await daemon.reaper();
  await reaches(500);
  for (const pid of [reaper, pidOf(daemon.process)]) process.kill(pid, "SIGSTOP");
  await reaches(longestSilenceMs + 500);
  process.kill(reaper, "SIGCONT");
  // The daemon gets the processor later than the reaper, which must have patience.
  await reaches(1_000);
  daemon.process.kill("SIGCONT");
  expect(await daemon.exit(0)).toEqual({ code: 0, signal: null, isReaped: false });
});

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

test("a reaper that dies is replaced by one that ends all that runs, also what is older than it and an orphan", async () => {
  const warned: string[] = [];
  await using reaper = startReaper({ logger: { warn: (_fields, message) => void warned.push(message) } });
  const { environment, marker, started } = reaper.guard("run-1");
  const env = { ...process.env, ...environment };
  const script = "(setsid sleep 73 &) ; exec sleep 73";
  const agent = spawn("sh", ["-c", script], { detached: true, stdio: "ignore", env });
  started(pidOf(agent));
  await until(() => findByMarker(marker).length === 2);
  const first = await until(() => reaperOf(process.pid, reaper.marker));
  process.kill(first, "SIGKILL");
  await until(() => warned.length > 0);
  reaper.guard("run-2").ended();
  await until(() => reaperOf(process.pid, reaper.marker));
  await reaper.close();
  expect(findByMarker(marker)).toEqual([]);
});

/**
 * A real parent process with an agent, as a daemon is. It prints its marker when the agent has the prompt, and how each
 * agent ended; on stdin it takes orders.
 */
async function startDaemon(prompt: string) {
  const standIn = await createClaudeStandIn();
  const program = `
    import { createInterface } from "node:readline";
    import { startReaper } from ${JSON.stringify(new URL("./reaper.ts", import.meta.url).href)};
    import { startAgentProcess } from ${JSON.stringify(new URL("./agent-process.ts", import.meta.url).href)};
    const logger = { warn() {}, error() {} };
    const reaper = startReaper({ logger });
    const env = { PATH: process.env.PATH };
    async function start(prompt) {
      const agent = await startAgentProcess({ run_id: "r", file: ${JSON.stringify(standIn.bin)}, args: [], cwd: "/", env, reaper, logger });
      agent.send(prompt);
      agent.ended.then(({ code, signal, isReaped }) => console.log(JSON.stringify({ code, signal, isReaped })));
      for await (const _ of agent.lines) {}
    }
    start(${JSON.stringify(prompt)});
    console.log(reaper.marker);
    for await (const line of createInterface({ input: process.stdin })) {
      const [order, rest] = [line.slice(0, 5), line.slice(6)];
      if (order === "agent") start(rest);
      if (order === "block") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(rest));
    }
    setInterval(() => {}, 1e6);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
    // A group of its own, as a terminal gives it.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: string[] = [];
  createInterface({ input: parent.stdout }).on("line", (line) => lines.push(line));
  const marker = await until(() => lines[0], { message: "the daemon has started" });
  await until(async () => (await standIn.turns()).length > 0, { message: "the agent has its prompt" });
  return {
    process: parent,
    standIn,
    marker,
    reaper: () => until(() => reaperOf(parent.pid, marker)),
    order: (line: string) => void parent.stdin.write(`${line}\n`),
    exit: async (i: number) => JSON.parse(await until(() => lines[i + 1], { message: `agent ${i} has ended` })),
    async [Symbol.asyncDispose]() {
      parent.kill("SIGKILL");
      await until(() => findByMarker(marker).length === 0);
      await standIn[Symbol.asyncDispose]();
    },
  };
}

/** Here the time that passes is what is tested. */
async function reaches(ms: number): Promise<void> {
  const start = performance.now();
  await until(() => performance.now() - start > ms);
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
