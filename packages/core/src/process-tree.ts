/**
 * Finds and ends every process that a root process left behind.
 *
 * A descendant is known by any of four signs, since each alone misses some: its parent (lost when the parent dies),
 * its process group (left by setsid), a marker in its environment (dropped by `env -i`), or that an earlier look
 * already found it. What leaves all of them between two looks is not found.
 *
 * Imports only process-list.ts: the reaper's process loads these two and nothing else.
 */
import { setTimeout } from "node:timers/promises";
import { createProcessList, type ProcessInfo, type ProcessList, readProcess } from "./process-list.ts";

/** A set of processes that grows with each look and is empty when nothing of it runs any more. */
export interface ProcessTree {
  /** Makes a process a root: it and its group belong to the tree from now on. Call it while the process runs. */
  add(pid: number): void;
  /** Forgets a root that has ended, so that its number may come back as somebody else's. */
  remove(pid: number): void;
  /** Who of the tree runs now, roots first. Zombies count as gone. */
  find(): Promise<number[]>;
}

export interface ProcessTreeOptions {
  /** Looks for the marker's entry, for all trees of a daemon. Default: one of its own. */
  readonly processes?: ProcessList;
  /** Processes older than this one are not searched for the marker. Default: the first root. */
  readonly sincePid?: number;
}

/** `marker` is the beginning of an environment entry (`KSI_RUN_TAG=3f2b.`) that all processes of the tree inherit. */
export function createProcessTree(marker: string, { processes, sincePid }: ProcessTreeOptions = {}): ProcessTree {
  const [name = "", tag = ""] = marker.split("=");
  const list = processes ?? createProcessList(name);
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
      const running = await list.look(since);
      const found = new Set<number>();
      // Parents may be listed after their children, so go on until nobody joins.
      for (let before = -1; before !== found.size; ) {
        before = found.size;
        for (const process of running) if (belongs(process, { tag, roots, known, found })) found.add(process.pid);
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

export interface EndOptions {
  /** From the moment at which it aborts, the last step is all there is. */
  readonly hurry?: AbortSignal;
  /** Aborts when a root has gone, so that it is not found out by looking. */
  readonly rootGone?: AbortSignal;
}

/**
 * Sends one signal after the other to everybody in the tree, until nobody is left. Whoever appears meanwhile gets the
 * current signal too. Gives whether the tree is empty; `false` means that a process withstood the last step.
 */
export async function endTree(
  tree: ProcessTree,
  steps: readonly EndStep[],
  { hurry, rootGone }: EndOptions = {},
): Promise<boolean> {
  let pids: readonly number[] = [];
  for (const [i, { signal, waitMs, waitFor }] of steps.entries()) {
    const isLast = i === steps.length - 1;
    const skip = isLast ? undefined : hurry;
    if (skip?.aborted) continue;
    const deadline = performance.now() + waitMs;
    // Those of the last look at once: where much runs, another look takes longer than all the rest.
    const sent = new Set(pids);
    for (const pid of sent) send(pid, signal);
    for (let pauseMs = 10; !skip?.aborted; pauseMs = Math.min(pauseMs * 2, 100)) {
      pids = await tree.find();
      if (pids.length === 0) return true;
      const leftMs = skip?.aborted ? 0 : deadline - performance.now();
      if (leftMs <= 0 || (waitFor !== undefined && !pids.includes(waitFor))) break;
      for (const pid of pids) if (!sent.has(pid)) send(pid, signal);
      for (const pid of pids) sent.add(pid);
      await pause(Math.min(pauseMs, leftMs), [skip, rootGone]);
    }
  }
  return false;
}

/** Shorter where one of them aborts meanwhile; what has happened before is no news. */
async function pause(ms: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  const coming = signals.filter((signal) => signal !== undefined).filter(({ aborted }) => !aborted);
  await setTimeout(ms, undefined, { signal: AbortSignal.any(coming) }).catch(() => {});
}

interface Members {
  /** The beginning of the entry's value. */
  readonly tag: string;
  readonly roots: ReadonlySet<number>;
  readonly known: ReadonlyMap<number, string>;
  readonly found: ReadonlySet<number>;
}

function belongs(candidate: ProcessInfo, { tag, roots, known, found }: Members): boolean {
  return (
    candidate.tag?.startsWith(tag) ||
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
