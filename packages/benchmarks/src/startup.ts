/** How soon is the daemon ready, and what does it weigh, beside `opencode serve`? */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder } from "@ksi/testing";
import { startBenchDaemon } from "./daemon.ts";
import { installPeer, startPeer } from "./peer.ts";
import type { Answer, Goal, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const starts = 7;
const opencodeVersion = "1.18.33";

export async function measureStartup(): Promise<Answer> {
  await using folder = await createTempFolder();
  await (await startBenchDaemon(folder.path))[Symbol.asyncDispose](); // the first start makes the token and the data
  const ours: Start[] = [];
  for (let start = 0; start < starts; start++) {
    await using daemon = await startBenchDaemon(folder.path);
    ours.push({ readyMs: daemon.readyMs, residentMb: await residentMb(daemon.process.pid) });
  }
  const theirs = await startOpencode();
  const median = (of: Start[], key: keyof Start) => summarize(of.map((start) => start[key])).median;
  const row = (what: string, unit: "ms" | "MB", key: keyof Start, goal: Goal): Row => ({
    what,
    unit,
    ours: median(ours, key),
    ...(theirs.length > 0 && {
      theirs: median(theirs, key),
      ratio: round(median(ours, key) / median(theirs, key)),
    }),
    beside: theirs.length > 0 ? `opencode ${opencodeVersion} serve` : "opencode did not install here",
    goals: [goal],
  });
  return {
    question: "Start and weight of an idle daemon, Redis included",
    rows: [
      row("process start to ready, second start on, median", "ms", "readyMs", { of: "ours", is: "≤", value: 1500 }),
      row("resident memory of all its processes, median", "MB", "residentMb", { of: "ours", is: "≤", value: 180 }),
    ],
    raw: { ours, theirs },
  };
}

interface Start {
  readyMs: number;
  residentMb: number;
}

/** opencode in a home of its own; empty when it cannot be installed or started. */
async function startOpencode(): Promise<Start[]> {
  try {
    const file = join(await installPeer("opencode-ai", opencodeVersion), ".bin/opencode");
    const samples: Start[] = [];
    for (let start = 0; start < starts; start++) samples.push(await startOpencodeOnce(file));
    return samples.slice(1);
  } catch (error) {
    console.error(`opencode is left out: ${(error as Error).message.split("\n")[0]}`);
    return [];
  }
}

async function startOpencodeOnce(file: string): Promise<Start> {
  await using home = await createTempFolder();
  const startedAt = performance.now();
  await using opencode = await startPeer({
    file,
    args: ["serve", "--port", "0"],
    cwd: home.path,
    env: { ...process.env, HOME: home.path, OPENCODE_DISABLE_AUTOUPDATE: "1" },
    isReady: (line) => line.includes("listening on"),
  });
  return { readyMs: performance.now() - startedAt, residentMb: await residentMb(opencode.child.pid) };
}

/** VmRSS of a process and of all its descendants; Linux only. */
async function residentMb(root: number | undefined): Promise<number> {
  const parents = new Map<number, number>();
  const resident = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
    parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    resident.set(Number(name), Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0));
  }
  const belongs = (pid: number): boolean => pid === root || (pid > 1 && belongs(parents.get(pid) ?? 0));
  const kilobytes = [...resident].filter(([pid]) => belongs(pid)).reduce((sum, [, kb]) => sum + kb, 0);
  return round(kilobytes / 1024);
}
