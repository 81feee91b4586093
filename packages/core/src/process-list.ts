/**
 * Who runs on this machine, each with the one entry of its environment that says whose it is.
 *
 * A look reads all of /proc: some 15 µs for a process's state, and as much for its environment. So those who ask at the
 * same time share one look: what it costs grows with the machine, and not with the agents that end at once.
 *
 * Imports nothing of ours: the reaper's process loads only this and process-tree.ts.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Comparable only between processes of one machine: clock ticks since boot on Linux, a date elsewhere. */
  readonly startedAt: string;
  /** The entry's value; undefined where there is none, or where it was not looked for. */
  readonly tag: string | undefined;
}

export interface ProcessList {
  /**
   * Everybody who runs, as of a moment after this call. Zombies count as gone. The entry is looked for in processes that
   * started at `since` or later; default: in all.
   */
  look(since?: string): Promise<readonly ProcessInfo[]>;
}

/** `tagName` is the name of the environment's entry. `list` is for tests. */
export function createProcessList(tagName: string, list = listProcesses): ProcessList {
  let last: Promise<unknown> = Promise.resolve();
  /** Begins when the one before it is over. Until then it is everybody's who asks. */
  let next: { search: Search; found: Promise<readonly ProcessInfo[]> } | undefined;

  function plan() {
    const search = { tagName, since: Number.POSITIVE_INFINITY };
    const found = last.then(() => {
      next = undefined;
      return list(search);
    });
    last = found.catch(() => {});
    return { search, found };
  }

  return {
    look(since = "0") {
      next ??= plan();
      next.search.since = Math.min(next.search.since, Number(since));
      return next.found;
    },
  };
}

interface Search {
  readonly tagName: string;
  /** Clock ticks since boot. */
  since: number;
}

function listProcesses(search: Search): Promise<ProcessInfo[]> {
  return process.platform === "linux" ? listWithProc(search) : listWithPs(search);
}

/** Processes read between two yields to the event loop: about half a millisecond of reading. */
const readsPerTick = 32;

async function listWithProc({ tagName, since }: Search): Promise<ProcessInfo[]> {
  const running: ProcessInfo[] = [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const [i, pid] of pids.entries()) {
    // Reading /proc never waits for a disk; through the thread pool the same reads take five times the processor.
    if (i % readsPerTick === readsPerTick - 1) await setImmediate();
    const seen = readProcess(pid);
    if (!seen) continue;
    running.push({ ...seen, tag: Number(seen.startedAt) >= since ? readEntry(pid, tagName) : undefined });
  }
  return running;
}

/** Undefined where it does not run any more, and on systems without /proc. */
export function readProcess(pid: number): Omit<ProcessInfo, "tag"> | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command's name is in parentheses and may hold anything, parentheses too: fields start after the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent, group] = fields;
  if (state === "Z" || state === "X") return undefined;
  return { pid, parent: Number(parent), group: Number(group), startedAt: fields[19] ?? "" };
}

function readEntry(pid: number, name: string): string | undefined {
  const environment = readIfThere(`/proc/${pid}/environ`);
  if (!environment) return undefined;
  const start = environment.startsWith(`${name}=`) ? 0 : environment.indexOf(`\0${name}=`) + 1;
  if (start === 0 && !environment.startsWith(`${name}=`)) return undefined;
  const end = environment.indexOf("\0", start);
  return environment.slice(start + name.length + 1, end === -1 ? undefined : end);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // It ended meanwhile, belongs to another user, or this system has no /proc.
    return undefined;
  }
}

const runFile = promisify(execFile);

/** `ps` prints a process's environment after its command, for processes of the same user. */
const psOptions = ["-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat=", "-o", "lstart=", "-o", "command="];

/** The way of systems without /proc. @internal for its test */
export async function listWithPs({ tagName }: Pick<Search, "tagName">): Promise<ProcessInfo[]> {
  const selection = process.platform === "darwin" ? ["-A", "-E", "-ww"] : ["axeww"];
  const { stdout } = await runFile("ps", [...selection, ...psOptions], {
    timeout: 2_000,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, LC_ALL: "C" },
  });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, group, state, startedAt = "", command = ""] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || state?.startsWith("Z")) return [];
    const [, tag] = command.split(` ${tagName}=`);
    return [
      { pid: Number(pid), parent: Number(parent), group: Number(group), startedAt, tag: tag?.replace(/ .*$/, "") },
    ];
  });
}
