/**
 * Finds and ends every process that a root process left behind.
 *
 * A descendant is known by any of four signs, since each alone misses some: its parent (lost when the parent dies),
 * its process group (left by setsid), a marker in its environment (dropped by `env -i`), or that an earlier look
 * already found it. What leaves all of them between two looks is not found.
 *
 * Imports nothing of ours: the reaper's process loads only this.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { setImmediate, setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

/** A set of processes that grows with each look and is empty when nothing of it runs any more. */
export interface ProcessTree {
  /** Makes a process a root: it and its group belong to the tree from now on. Call it while the process runs. */
  add(pid: number): void;
  /** Forgets a root that has ended, so that its number may come back as somebody else's. */
  remove(pid: number): void;
  /** Who of the tree runs now, roots first. Zombies count as gone. */
  find(): Promise<number[]>;
}

/**
 * `marker` is the beginning of an environment entry (`KSI_RUN_TAG=3f2b.`) that all processes of the tree inherit.
 * Only processes that started at the same time as the first root or later are searched for it.
 */
export function createProcessTree(marker: string, sincePid?: number): ProcessTree {
  const roots = new Set<number>();
  /** By pid, when it started: a pid alone may belong to somebody else later. */
  const known = new Map<number, string>();
  let since = sincePid === undefined ? undefined : readProcess(sincePid)?.startedAt;

  return {
    add(pid) {
      const startedAt = readProcess(pid)?.startedAt;
      roots.add(pid);
      if (startedAt !== undefined) known.set(pid, startedAt);
      since ??= startedAt;
    },
    remove(pid) {
      roots.delete(pid);
      known.delete(pid);
    },
    async find() {
      const running = await listProcesses({ marker, since });
      const found = new Set<number>();
      // Parents may be listed after their children, so go on until nobody joins.
      for (let before = -1; before !== found.size; ) {
        before = found.size;
        for (const process of running) if (belongs(process, { roots, known, found })) found.add(process.pid);
      }
      for (const { pid, startedAt } of running) if (found.has(pid)) known.set(pid, startedAt);
      return [...found].sort((a, b) => Number(roots.has(b)) - Number(roots.has(a)));
    },
  };
}

/** A signal, and how long to wait for everybody to go before the next one. */
export interface EndStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
  /** The one for whose sake there is a wait: when it has gone, the next signal follows at once. Default: all. */
  readonly waitFor?: number;
}

/**
 * Sends one signal after the other to everybody in the tree, until nobody is left. Whoever appears meanwhile gets the
 * current signal too. Gives whether the tree is empty; `false` means that a process withstood the last step.
 */
export async function endTree(tree: ProcessTree, steps: readonly EndStep[]): Promise<boolean> {
  for (const { signal, waitMs, waitFor } of steps) {
    const deadline = performance.now() + waitMs;
    const sent = new Set<number>();
    for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 100)) {
      const pids = await tree.find();
      if (pids.length === 0) return true;
      if (performance.now() > deadline || (waitFor !== undefined && !pids.includes(waitFor))) break;
      for (const pid of pids) if (!sent.has(pid)) send(pid, signal);
      for (const pid of pids) sent.add(pid);
      await setTimeout(pauseMs);
    }
  }
  return false;
}

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Comparable only between processes of one machine: clock ticks since boot on Linux, a date elsewhere. */
  readonly startedAt: string;
  readonly isMarked: boolean;
}

interface Members {
  readonly roots: ReadonlySet<number>;
  readonly known: ReadonlyMap<number, string>;
  readonly found: ReadonlySet<number>;
}

function belongs(candidate: ProcessInfo, { roots, known, found }: Members): boolean {
  return (
    candidate.isMarked ||
    known.get(candidate.pid) === candidate.startedAt ||
    roots.has(candidate.group) ||
    found.has(candidate.parent)
  );
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it went by itself since the look. EPERM: it changed its user, and only the next step's look can tell.
    if (!["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

interface Search {
  readonly marker: string;
  readonly since: string | undefined;
}

async function listProcesses(search: Search): Promise<ProcessInfo[]> {
  return process.platform === "linux" ? listWithProc(search) : listWithPs(search);
}

/** Processes read between two yields to the event loop: about half a millisecond of reading. */
const readsPerTick = 32;

async function listWithProc({ marker, since = "0" }: Search): Promise<ProcessInfo[]> {
  const running: ProcessInfo[] = [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const [i, pid] of pids.entries()) {
    // Reading /proc never waits for a disk; through the thread pool the same reads take five times the processor.
    if (i % readsPerTick === readsPerTick - 1) await setImmediate();
    const seen = readProcess(pid);
    if (!seen || seen.isZombie) continue;
    const isMarked = Number(seen.startedAt) >= Number(since) && hasEnvironmentEntry(pid, marker);
    running.push({ ...seen, isMarked });
  }
  return running;
}

function readProcess(pid: number): (Omit<ProcessInfo, "isMarked"> & { isZombie: boolean }) | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`)?.toString("latin1");
  if (stat === undefined) return undefined;
  // The command's name is in parentheses and may hold anything, parentheses too: fields start after the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent, group] = fields;
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    startedAt: fields[19] ?? "",
    isZombie: state === "Z" || state === "X",
  };
}

function hasEnvironmentEntry(pid: number, marker: string): boolean {
  const environment = readIfThere(`/proc/${pid}/environ`);
  if (!environment) return false;
  return environment.indexOf(marker) === 0 || environment.includes(`\0${marker}`);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    // It ended meanwhile, belongs to another user, or this system has no /proc.
    return undefined;
  }
}

const runFile = promisify(execFile);

/** `ps` prints a process's environment after its command, for processes of the same user. */
const psOptions = ["-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat=", "-o", "lstart=", "-o", "command="];

/** The way of systems without /proc. @internal for its test */
export async function listWithPs({ marker }: Search): Promise<ProcessInfo[]> {
  const selection = process.platform === "darwin" ? ["-A", "-E", "-ww"] : ["axeww"];
  const { stdout } = await runFile("ps", [...selection, ...psOptions], {
    timeout: 2_000,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, LC_ALL: "C" },
  });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, group, state, startedAt = "", command] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || state?.startsWith("Z")) return [];
    const isMarked = command?.includes(` ${marker}`) ?? false;
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), startedAt, isMarked }];
  });
}
