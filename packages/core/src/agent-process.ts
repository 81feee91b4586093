/**
 * A running agent: a program started without a shell, its output as lines, and its certain end.
 *
 * States: running → leaving (its process has exited, or `end` was called; whatever is left is being ended) → ended
 * (nothing of it runs: no child, no grandchild, also none in another process group or session).
 *
 * node:child_process rather than execa: execa ends one process, and what matters here is the tree; its buffers and
 * its clean-up at exit would have to be switched off one by one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { KsiError } from "@ksi/contract";
import type { Logger } from "./logger.ts";
import { createProcessTree, type EndStep, endTree } from "./process-tree.ts";
import type { Guard, Reaper } from "./reaper.ts";

export interface AgentProcessOptions {
  readonly run_id: string;
  /** An absolute path, so that nothing is looked up. */
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** All that the agent gets, apart from the marker. See `pickAgentEnvironment`. */
  readonly env: Readonly<Record<string, string>>;
  readonly reaper: Reaper;
  readonly logger: Pick<Logger, "error">;
  readonly limits?: Partial<AgentLimits>;
}

export interface AgentLimits {
  /** Of one line of stdout. Default 16 MiB: a tool's result with a picture in it is one line. */
  readonly maxLineBytes: number;
  /** Of all stdout. Default 256 MiB: some hundred thousand events. */
  readonly maxOutputBytes: number;
  /** Of stderr, from its end; what came before is dropped. Default 8 KiB. */
  readonly maxStderrBytes: number;
  /** How long after the interrupt, and after SIGTERM, the next and harder signal follows. Default 2,000 each. */
  readonly interruptMs: number;
  readonly terminateMs: number;
}

export interface AgentProcess {
  readonly pid: number;
  /**
   * Its stdout, to be read once. Reading stops the agent when nobody asks for the next line (the pipe fills up).
   * Throws `RUNNER_OUTPUT_TOO_LARGE` over a limit; the caller then calls `end`.
   */
  readonly lines: AsyncIterable<string>;
  /** Settles when nothing of the agent runs any more; never rejects. */
  readonly ended: Promise<AgentExit>;
  /** Writes to stdin and closes it. An agent that does not read it is none of the caller's problems. */
  send(text: string): void;
  /**
   * Interrupts, terminates, kills: the next only for what the one before left. Gives `ended`.
   *
   * `graceMs` from this call on, whatever is left is killed; half of that time is the interrupt's. 0 kills at once.
   * Without it, the limits say how long each step may take. Safe to repeat: the first to want a kill gets it.
   */
  end(graceMs?: number): Promise<AgentExit>;
}

/** How the agent's own process ended; without code and signal, it withstood SIGKILL and may still run. */
export interface AgentExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It was ended because this process stood still for too long (see silence.ts). */
  readonly isReaped: boolean;
  /** The last of its stderr. */
  readonly stderr: string;
}

/** Rejects with the system's error (`ENOENT`, `EACCES`, …) when the program cannot be started. */
export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  const limits = { ...defaultLimits, ...options.limits };
  const guard = options.reaper.guard(options.run_id);
  const child = spawnAgent(options, guard);
  if (child.pid === undefined) {
    guard.ended();
    const [error] = await once(child, "error");
    throw error;
  }
  guard.started(child.pid);
  return watch(child, child.pid, { guard, limits, logger: options.logger });
}

function spawnAgent(options: AgentProcessOptions, guard: Guard): ChildProcess {
  try {
    return spawn(options.file, options.args, {
      cwd: options.cwd,
      env: { ...options.env, ...guard.environment },
      // A group (and session) of its own: Ctrl-C at the daemon's terminal is the daemon's to handle.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
  } catch (error) {
    // Some errors are thrown (a folder that has become a file, say), others are told by an event.
    guard.ended();
    throw error;
  }
}

const defaultLimits: AgentLimits = {
  maxLineBytes: 16 * 1024 * 1024,
  maxOutputBytes: 256 * 1024 * 1024,
  maxStderrBytes: 8 * 1024,
  interruptMs: 2_000,
  terminateMs: 2_000,
};

/** How long SIGKILL may take: only a process stuck in the kernel (a dead network disk) needs longer. */
const killMs = 10_000;
/** How long stdout may stay open once everybody who could write to it is gone. */
const closeMs = 1_000;

interface Watch {
  readonly guard: Guard;
  readonly limits: AgentLimits;
  readonly logger: Pick<Logger, "error">;
}

function watch(child: ChildProcess, pid: number, { guard, limits, logger }: Watch): AgentProcess {
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) throw new TypeError("an agent is started with three pipes");
  const outputs = [stdout, stderr];
  const tree = createProcessTree(guard.marker, guard);
  tree.add(pid);

  const closed = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<AgentExit>();
  const tail = keepTail(stderr, limits.maxStderrBytes);
  child.once("close", () => closed.resolve());
  // A signal that could not be sent, say; `endTree` sends its own.
  child.on("error", (err) => logger.error({ err, pid }, "An agent's process reported an error."));
  // An agent that exits without reading its prompt breaks the pipe; its exit tells why.
  stdin.on("error", () => {});

  const gone = new AbortController();
  const hurry = new AbortController();
  function killAfter(ms: number): void {
    if (ms === 0) hurry.abort();
    const timer = setTimeout(() => hurry.abort(), ms);
    void ended.promise.then(() => clearTimeout(timer));
  }

  let isLeaving = false;
  async function leave(steps: readonly EndStep[]): Promise<void> {
    if (isLeaving) return;
    isLeaving = true;
    const isGone = await endTree(tree, steps, { hurry: hurry.signal, rootGone: gone.signal }).catch((err: unknown) => {
      logger.error({ err, pid }, "An agent's processes could not be looked up.");
      return false;
    });
    if (!isGone) logger.error({ pid }, "A process of an agent withstands SIGKILL.");
    await closeOutput(closed.promise, outputs);
    guard.ended();
    const { exitCode: code, signalCode: signal } = child;
    ended.resolve({ code, signal, isReaped: guard.reaped.aborted, stderr: tail() });
  }
  // Also here: it may have been between its announcement and its start, and then the reaper found nobody.
  guard.reaped.addEventListener("abort", () => void leave(endSteps(limits)), { once: true });
  // What an agent leaves in the background ends with its turn: nobody would ever end it otherwise.
  child.once("exit", () => {
    gone.abort();
    void leave(endSteps(limits));
  });

  return {
    pid,
    lines: readLines(stdout, limits),
    ended: ended.promise,
    send: (text) => void stdin.end(text),
    end(graceMs) {
      const { interruptMs, terminateMs } = graceMs === undefined ? limits : halve(graceMs);
      if (graceMs !== undefined) killAfter(graceMs);
      void leave([{ signal: "SIGINT", waitMs: interruptMs, waitFor: pid }, ...endSteps({ terminateMs })]);
      return ended.promise;
    },
  };
}

/** An interrupt comes before them only where the agent itself runs, which can make something of it. */
function endSteps({ terminateMs }: Pick<AgentLimits, "terminateMs">): EndStep[] {
  return [
    { signal: "SIGTERM", waitMs: terminateMs },
    { signal: "SIGKILL", waitMs: killMs },
  ];
}

/** The kill comes when the whole is over, so what the interrupt leaves of its half is SIGTERM's. */
function halve(graceMs: number): Pick<AgentLimits, "interruptMs" | "terminateMs"> {
  return { interruptMs: graceMs / 2, terminateMs: graceMs };
}

/** Reads all the time, so that a program that floods stderr does not stall, and keeps only the end. */
function keepTail(stream: Readable, maxBytes: number): () => string {
  let tail = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]);
    if (tail.length > maxBytes) tail = Buffer.from(tail.subarray(-maxBytes));
  });
  return () => tail.toString("utf8");
}

async function closeOutput(closed: Promise<void>, streams: readonly Readable[]): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, closeMs);
  await Promise.race([closed, late]);
  clearTimeout(timer);
  for (const stream of streams) stream.destroy();
}

const newline = 0x0a;

async function* readLines(stdout: Readable, limits: AgentLimits): AsyncGenerator<string> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let outputBytes = 0;
  for await (const chunk of untilClosed(stdout)) {
    outputBytes += chunk.length;
    if (outputBytes > limits.maxOutputBytes) throw tooLarge("in all", limits.maxOutputBytes);
    let start = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, start)) {
      yield Buffer.concat([...pending, chunk.subarray(start, at)]).toString("utf8");
      pending = [];
      pendingBytes = 0;
      start = at + 1;
    }
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > limits.maxLineBytes) throw tooLarge("on one line", limits.maxLineBytes);
  }
  if (pendingBytes > 0) yield Buffer.concat(pending).toString("utf8");
}

/** Output that `closeOutput` had to cut off has simply ended. */
async function* untilClosed(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
  }
}

function tooLarge(where: string, maxBytes: number): KsiError {
  return new KsiError(
    "RUNNER_OUTPUT_TOO_LARGE",
    `The agent printed more than ${Math.round(maxBytes / 1024 / 1024)} MiB ${where} and was ended. Ask it to write large results to a file.`,
  );
}
