/**
 * Who runs on this machine, each with the one entry of its environment that says whose it is.
 *
 * A look reads all of /proc: some 15 µs for a process's state, and as much for its environment. So those who ask at the
 * same time share one look: what it costs grows with the machine, and not with the agents that end at once.
 *
 * Imports nothing of ours: the reaper's process loads only this and process-tree.ts.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setImmediate, setTimeout } from "node:timers/promises";
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
/**
 * How often one look goes after those who come and go; on a quiet machine the second list has nobody new. Counted and not
 * timed, since a process that is stopped in the middle has lost time and seen nothing.
 */
const mostLists = 500;

/**
 * A list of /proc is old when it is read: whoever is on it may have started another and be gone, and that one is not on
 * it. So it is made again until nobody is new. The test "of a chain of processes" guards this.
 */
async function listWithProc({ tagName, since }: Search): Promise<ProcessInfo[]> {
  const running: ProcessInfo[] = [];
  const seen = new Set<number>();
  let reads = 0;
  for (let lists = 0; lists < mostLists; lists++) {
    const pids = listPids().filter((pid) => !seen.has(pid));
    if (pids.length === 0) break;
    let areStarting = false;
    for (const pid of pids) {
      // Reading /proc never waits for a disk; through the thread pool the same reads take five times the processor.
      if (++reads % readsPerTick === 0) await setImmediate();
      const found = readWithEntry(pid, { tagName, since });
      if (found === "starting") areStarting = true;
      else seen.add(pid);
      if (typeof found === "object") running.push(found);
    }
    if (areStarting) await setTimeout(1);
  }
  return running;
}

function listPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** `starting` is one of whom it cannot be said yet: between one program and the next a process has no environment. */
function readWithEntry(pid: number, { tagName, since }: Search): ProcessInfo | "starting" | "gone" {
  const fields = readStat(pid);
  if (!fields) return "gone";
  const seen = describe(pid, fields);
  if (Number(seen.startedAt) < since) return { ...seen, tag: undefined };
  const environment = readIfThere(`/proc/${pid}/environ`);
  if (environment === "" && mayHaveEnvironment(fields)) return "starting";
  // Another user's, unless it has ended meanwhile.
  if (environment === undefined && !readStat(pid)) return "gone";
  return { ...seen, tag: environment && findEntry(environment, tagName) };
}

/** Undefined where it does not run any more, and on systems without /proc. */
export function readProcess(pid: number): Omit<ProcessInfo, "tag"> | undefined {
  const fields = readStat(pid);
  return fields && describe(pid, fields);
}

/** From the third field of proc(5) on: its state, its parent and so on. */
function readStat(pid: number): string[] | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command's name is in parentheses and may hold anything, parentheses too: fields start after the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields;
}

function describe(pid: number, fields: readonly string[]): Omit<ProcessInfo, "tag"> {
  return { pid, parent: Number(fields[1]), group: Number(fields[2]), startedAt: fields[19] ?? "" };
}

/** Not so for threads of the kernel, which have no memory, and where the environment begins at its end. */
function mayHaveEnvironment(fields: readonly string[]): boolean {
  const [memory, start, end] = [fields[20], fields[47], fields[48]];
  return memory !== "0" && (start !== end || end === "0");
}

function findEntry(environment: string, name: string): string | undefined {
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
