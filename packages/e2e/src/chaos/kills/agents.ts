/**
 * Which agents run on this machine: looked at again and again, since two of one session must never run at once, and at
 * the end, when none may be left. An agent's processes carry the run in their environment, and so do all descendants.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface AgentWatch extends Disposable {
  /** Pairs of runs (ids with a space between) whose agents were seen at the same time, and when first. */
  readonly pairs: ReadonlyMap<string, Date>;
  /** Processes of these runs that are there now. */
  agentsOf(runIds: ReadonlySet<string>): string[];
  /** Reapers, of all workers that ever had one of these runs, that are there now. */
  reapersOf(runIds: ReadonlySet<string>): string[];
}

const lookMs = 100;

export function watchAgents(): AgentWatch {
  const pairs = new Map<string, Date>();
  const workers = new Map<string, string>();
  const timer = setInterval(look, lookMs);

  function look(): void {
    const first = findAgents();
    for (const { run_id, worker } of first) workers.set(worker, run_id);
    const runIds = new Set(first.map(({ run_id }) => run_id));
    if (runIds.size < 2) return;
    // One look takes some milliseconds: who is still there in a second one was there together with all of the first.
    const both = [...new Set(findAgents().map(({ run_id }) => run_id))].filter((runId) => runIds.has(runId)).sort();
    for (const [i, a] of both.entries()) for (const b of both.slice(i + 1)) note(`${a} ${b}`);
  }

  function note(pair: string): void {
    if (!pairs.has(pair)) pairs.set(pair, new Date());
  }

  return {
    pairs,
    agentsOf(runIds) {
      const left = findAgents().filter(({ run_id }) => runIds.has(run_id));
      return left.map(({ pid, run_id }) => `process ${pid} of run ${run_id}`);
    },
    reapersOf(runIds) {
      const ours = new Set([...workers].filter(([, runId]) => runIds.has(runId)).map(([worker]) => worker));
      return findReapers(ours).map((pid) => `reaper ${pid}`);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

interface AgentProcess {
  readonly pid: number;
  /** What all agents of one worker process have in common. */
  readonly worker: string;
  readonly run_id: string;
}

function findAgents(): AgentProcess[] {
  return pids().flatMap((pid) => {
    const [, worker, run_id] = /(?:^|\0)KSI_RUN_TAG=(\w+)\.\d+\.([\w-]+)/.exec(read(`/proc/${pid}/environ`)) ?? [];
    return worker !== undefined && run_id !== undefined ? [{ pid, worker, run_id }] : [];
  });
}

function findReapers(workers: ReadonlySet<string>): number[] {
  return pids().filter((pid) => {
    const [, worker = ""] = /reaper-process\.\w+\0KSI_RUN_TAG=(\w+)\./.exec(read(`/proc/${pid}/cmdline`)) ?? [];
    return workers.has(worker);
  });
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Empty for zombies, and for who ended meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
