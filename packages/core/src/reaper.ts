/**
 * The daemon's side of the reaper, which ends the agents of a daemon that was killed or stands still (see
 * reaper-process.ts).
 *
 * States: idle (no process yet) → running (from the first guarded agent on) → closed. A reaper that dies is replaced,
 * and told again of every agent that runs. Whether the daemon closes the pipe or dies with it open is all the same to
 * the reaper: agents that are still recorded are ended. While there are any, it is shown that the daemon lives.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Logger } from "./logger.ts";
import { createProcessList, type ProcessList } from "./process-list.ts";
import { signMs } from "./silence.ts";

/** Keeps watch over agents. One for each daemon or worker process. */
export interface Reaper extends AsyncDisposable {
  /** The beginning of the environment entry that the processes of all its agents have. */
  readonly marker: string;
  /** To be called before an agent's process is started. */
  guard(run_id: string): Guard;
  /** Lets the reaper end, and with it every agent that is still guarded. Resolves when it has. Safe to repeat. */
  close(): Promise<void>;
}

/** One agent's entry. */
export interface Guard {
  /** What the agent's environment must hold, for its descendants to be recognised. */
  readonly environment: Readonly<Record<string, string>>;
  /** The beginning of the environment entry that only this agent's processes have. */
  readonly marker: string;
  /** Who of this machine has such an entry; one for all agents. */
  readonly processes: ProcessList;
  /** Aborts when the reaper ends the agent, because this process gave no sign of life for too long. */
  readonly reaped: AbortSignal;
  started(pid: number): void;
  /** Nothing of the agent runs any more. */
  ended(): void;
}

export interface ReaperOptions {
  readonly logger: Pick<Logger, "warn">;
}

/** Starts no process before the first agent does: most starts of a daemon are to answer a question about its state. */
export function startReaper({ logger }: ReaperOptions): Reaper {
  const nonce = randomBytes(8).toString("hex");
  const marker = `${tagName}=${nonce}.`;
  const processes = createProcessList(tagName);
  const agents = new Map<number, Guarded>();
  let agentsSoFar = 0;
  let isClosed = false;
  let reaper: ChildProcess | undefined;
  let signs: NodeJS.Timeout | undefined;

  const tell = (line: string) => {
    reaper ??= startProcess();
    reaper.stdin?.write(`${line}\n`);
  };

  function startProcess(): ChildProcess {
    const started = spawnReaper(marker);
    const startedAt = performance.now();
    // A pipe that broke means that the process ended, and `exit` says so.
    started.stdin?.on("error", () => {});
    started.on("error", (error) => lost(error));
    started.on("exit", (code, signal) => lost({ code, signal }));
    for (const [agent, { pid }] of agents) started.stdin?.write(`${record(agent, pid)}\n`);
    if (started.stdout) createInterface({ input: started.stdout }).on("line", hear);

    function lost(reason: unknown): void {
      if (reaper !== started || isClosed) return;
      reaper = undefined;
      logger.warn({ reason }, "The reaper ended; until the next one starts, agents would outlive a killed daemon.");
      // One that cannot live for a second would be started over and over: then wait for the next agent instead.
      if (agents.size > 0 && performance.now() - startedAt > 1_000) reaper = startProcess();
    }
    return started;
  }

  function hear(line: string): void {
    const agent = agents.get(Number(/^!(\d+)$/.exec(line)?.[1]));
    if (!agent || agent.reaped.signal.aborted) return;
    logger.warn({ run_id: agent.run_id }, "This process stood still for too long, so the reaper ends an agent.");
    agent.reaped.abort();
  }

  const close = async () => {
    isClosed = true;
    clearInterval(signs);
    if (!reaper || reaper.exitCode !== null || reaper.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    reaper.ref();
    reaper.once("exit", () => resolve());
    reaper.once("error", () => resolve());
    reaper.stdin?.end();
    await promise;
  };

  return {
    marker,
    guard(run_id) {
      const agent = ++agentsSoFar;
      const tag = `${nonce}.${agent}.`;
      const guarded: Guarded = { run_id, pid: undefined, reaped: new AbortController() };
      agents.set(agent, guarded);
      tell(record(agent, undefined));
      signs ??= setInterval(() => reaper?.stdin?.write("~\n"), signMs).unref();
      return {
        environment: { [tagName]: `${tag}${run_id}` },
        marker: `${tagName}=${tag}`,
        processes,
        reaped: guarded.reaped.signal,
        started(pid) {
          guarded.pid = pid;
          tell(record(agent, pid));
        },
        ended() {
          if (!agents.delete(agent) || isClosed) return;
          tell(`-${agent}`);
          if (agents.size > 0) return;
          clearInterval(signs);
          signs = undefined;
        },
      };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Guarded {
  readonly run_id: string;
  pid: number | undefined;
  readonly reaped: AbortController;
}

const tagName = "KSI_RUN_TAG";

function record(agent: number, pid: number | undefined): string {
  return pid === undefined ? `+${agent}` : `+${agent} ${pid}`;
}

function spawnReaper(marker: string): ChildProcess {
  // The same folder holds this file's source and, once built, its JavaScript.
  const file = import.meta.url.endsWith(".ts") ? "./reaper-process.ts" : "./reaper-process.js";
  const entry = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, ["--max-old-space-size=32", entry, marker], {
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
    cwd: "/",
    // Nothing inherited: it must not carry the marker of an agent that the daemon itself may run in.
    env: { PATH: process.env.PATH },
  });
  child.unref();
  for (const pipe of [child.stdin, child.stdout]) (pipe as { unref?: () => void } | null)?.unref?.();
  return child;
}
