/**
 * The claude runner: one process of the `claude` CLI for each turn, judged by its result line.
 *
 * A turn tries to join its session in one way and, where the CLI answers that the other is right, in the other (see
 * `nextJoining`). The process starts while the worker records that the prompt is handed over, and gets the prompt
 * when that is done.
 */
import { KsiError } from "@ksi/contract";
import { z } from "zod";
import { type AgentExit, type AgentLimits, type AgentProcess, startAgentProcess } from "../agent-process.ts";
import type { Logger } from "../logger.ts";
import type { Reaper } from "../reaper.ts";
import { graceOf } from "../run-cancelled.ts";
import { claudeArguments, claudeEnvironment, claudeStdin, type Joining, writeSystemPrompt } from "./claude-command.ts";
import { findClaude, readClaudeVersion } from "./claude-executable.ts";
import {
  failureOfExit,
  failureOfResult,
  failureOfStart,
  saysInUse,
  saysNoPrompt,
  sessionInUse,
} from "./claude-failures.ts";
import { type ClaudeResult, costOf, createClaudeReader, usageOf } from "./claude-output.ts";
import type { Runner, RunningTurn, Turn, TurnContext, TurnOutcome } from "./runner.ts";

export interface ClaudeRunnerOptions {
  /** The program: a path, or a name to look up on PATH. Default `claude`. */
  readonly bin?: string | undefined;
  /** The daemon's environment, of which agents get what `pickAgentEnvironment` lets pass. */
  readonly env: NodeJS.ProcessEnv;
  /** Names that agents get besides. */
  readonly passEnv?: readonly string[] | undefined;
  readonly reaper: Reaper;
  /** Told why a turn failed where its error says so: the last of stderr, say, which is not for callers. */
  readonly logger: Pick<Logger, "warn" | "error">;
  /** For tests; see {@link AgentLimits} for the defaults. */
  readonly limits?: Partial<AgentLimits> | undefined;
}

/**
 * Runs turns with the Claude Code CLI, 2.1 or newer.
 *
 * `outcome` rejects with one of the run error codes, each with advice (claude-failures.ts has the table); with the
 * signal's reason when the turn is ended. Cost is that of the turn alone. Tools narrow what the agent has at all.
 */
export function createClaudeRunner(options: ClaudeRunnerOptions): Runner {
  const { bin, env, passEnv = [] } = options;
  const find = () => findClaude({ bin, path: env.PATH });
  const models = ["sonnet", "opus", "haiku"];
  const setup: Setup = { ...options, find, environment: claudeEnvironment(env, passEnv) };

  return {
    name: "claude",
    models,
    takesImages: true,
    serves: (model) => /^(default|best|opusplan|sonnet|opus|haiku)(\[\w+\])?$/.test(model) || /claude/i.test(model),
    async probe() {
      try {
        const version = await readClaudeVersion(await find());
        return { name: "claude", available: true, models, ...(version && { version }) };
      } catch (error) {
        return { name: "claude", available: false, models, advice: KsiError.from(error).message };
      }
    },
    start: (turn, context) => startTurn(turn, context, setup),
  };
}

interface Setup extends ClaudeRunnerOptions {
  find(): Promise<string>;
  readonly environment: Record<string, string>;
}

/** How long the CLI may take to leave after its result; it saves the session and ends what runs in the background. */
const lingerMs = 5_000;

function startTurn(turn: Turn, context: TurnContext, setup: Setup): RunningTurn {
  const processes: AgentProcess[] = [];
  const systemPrompt = writeSystemPrompt(turn.system_prompt);

  async function spawn(joining: Joining): Promise<AgentProcess> {
    const [file, { path }] = await Promise.all([setup.find(), systemPrompt]);
    context.signal.throwIfAborted();
    const { reaper, logger, environment, limits } = setup;
    const agent = await startAgentProcess({
      run_id: turn.run_id,
      file,
      args: claudeArguments(turn, joining, path),
      cwd: turn.cwd,
      env: environment,
      reaper,
      logger,
      ...(limits && { limits }),
    }).catch((error: unknown) => {
      throw failureOfStart(error as NodeJS.ErrnoException, file);
    });
    processes.push(agent);
    if (context.signal.aborted) void agent.end(graceOf(context.signal));
    return agent;
  }
  const endAll = () => {
    for (const agent of processes) void agent.end(graceOf(context.signal));
  };
  context.signal.addEventListener("abort", endAll, { once: true });

  const work = converse(turn, context, spawn);
  const ended = work
    .catch((err: unknown) => {
      const { run_id, session_id } = turn;
      if (err !== context.signal.reason) setup.logger.warn({ err, run_id, session_id }, "A turn of claude failed.");
    })
    .then(() => Promise.all(processes.map((agent) => agent.ended)))
    .then(async () => {
      context.signal.removeEventListener("abort", endAll);
      await (await systemPrompt)[Symbol.asyncDispose]();
    })
    .catch((err: unknown) => setup.logger.error({ err, run_id: turn.run_id }, "A turn left something behind."));
  return { outcome: orAborted(work, context.signal), ended };
}

async function converse(
  turn: Turn,
  context: TurnContext,
  spawn: (joining: Joining) => Promise<AgentProcess>,
): Promise<TurnOutcome> {
  const memory = readMemory(turn);
  const id = memory?.cli_session_id ?? turn.session_id;
  let handing: Promise<void> | undefined;
  const hand = async (agent: AgentProcess) => {
    handing ??= context.promptHanded({ ...turn.memory, cli_session_id: id, is_known: memory?.is_known ?? false });
    try {
      await orAborted(handing, context.signal);
    } catch (error) {
      void agent.end(graceOf(context.signal));
      throw error;
    }
    agent.send(claudeStdin(turn));
  };

  let joining: Joining = { way: memory ? "resume" : "start", id };
  for (const tried: Joining["way"][] = [joining.way]; ; tried.push(joining.way)) {
    const agent = await spawn(joining);
    const listening = listen(agent, context);
    const [heard] = await Promise.all([listening, hand(agent)]);
    const facts = { model: turn.model, session_id: turn.session_id, hasSchema: Boolean(turn.output_schema), ...heard };

    const failure = heard.result && failureOfResult(heard.result, facts);
    if (heard.result && !failure) return outcomeOf(turn, { joining, heard, result: heard.result });
    // Known at once, unless the other way to join is worth a try, for which the process must be gone.
    if (failure && failure.code !== "SESSION_NOT_FOUND") throw failure;
    const exit = await agent.ended;
    context.signal.throwIfAborted();

    const next = nextJoining(joining, { exit, failure, tried, isKnown: memory?.is_known ?? false });
    if (!next) throw failure ?? failureOfExit(exit, facts);
    joining = next;
  }
}

interface Refusal {
  readonly exit: AgentExit;
  readonly failure: KsiError | undefined;
  readonly tried: readonly Joining["way"][];
  /** A turn of this session completed before, so there must be a conversation. */
  readonly isKnown: boolean;
}

/**
 * How to try again where nothing has happened yet; `undefined` where that would not help.
 *
 * - The id is taken: the CLI knows a session that KSI does not, or a turn was killed after the CLI had written it.
 * - No conversation: the turn before was killed before the CLI had written anything. Where a turn completed before,
 *   the conversation is lost, and a new one under its name would hide that.
 * - No prompt: the hand-over took longer than the three seconds that the CLI waits. (With images it waits without end.)
 */
function nextJoining({ way, id }: Joining, { exit, failure, tried, isKnown }: Refusal): Joining | undefined {
  if (way === "start" && saysInUse(exit)) return tried.includes("resume") ? undefined : { way: "resume", id };
  if (way === "resume" && failure?.code === "SESSION_NOT_FOUND") {
    if (tried.includes("start")) throw sessionInUse(id, failure);
    return isKnown ? undefined : { way: "start", id };
  }
  return saysNoPrompt(exit) && tried.length === 1 ? { way, id } : undefined;
}

/** What a process said, up to its result or its end. */
interface Heard {
  readonly result?: ClaudeResult;
  readonly answer?: string;
  readonly raw?: TurnOutcome["raw"];
  readonly model?: string;
  readonly apiError: string | undefined;
  readonly badLine: boolean;
}

/** Resolves at the result line, and reads on after it: an agent whose output nobody reads cannot leave. */
function listen(agent: AgentProcess, context: TurnContext): Promise<Heard> {
  const { promise, resolve, reject } = Promise.withResolvers<Heard>();
  const reader = createClaudeReader();
  let heard: Heard = { apiError: undefined, badLine: false };

  async function readAll(): Promise<void> {
    let lastLineIsBad = false;
    for await (const line of agent.lines) {
      if (heard.result || context.signal.aborted) continue;
      const said = line.trim() === "" ? [] : reader.read(line);
      // The last line of a process that was cut off is no protocol error: it counts once another line follows.
      if (lastLineIsBad) heard = { ...heard, badLine: true };
      lastLineIsBad = said === undefined;
      for (const item of said ?? []) {
        if (item.kind === "event") context.emit(item.event);
        else if (item.kind === "init") heard = { ...heard, model: item.model };
        else if (item.kind === "apiError") heard = { ...heard, apiError: item.error };
        else if (item.kind === "result") heard = { ...heard, result: item.result, answer: item.answer, raw: item.raw };
      }
      if (heard.result) {
        endAfter(lingerMs, agent);
        resolve(heard);
      }
    }
    if (lastLineIsBad && (await agent.ended).code === 0) heard = { ...heard, badLine: true };
    resolve(heard);
  }
  readAll().catch((error: unknown) => {
    void agent.end();
    reject(error);
  });
  return promise;
}

function endAfter(ms: number, agent: AgentProcess): void {
  const timer = setTimeout(() => void agent.end(), ms);
  void agent.ended.then(() => clearTimeout(timer));
}

interface Answered {
  readonly joining: Joining;
  readonly heard: Heard;
  readonly result: ClaudeResult;
}

function outcomeOf(turn: Turn, { joining, heard, result }: Answered): TurnOutcome {
  const costBefore = joining.way === "start" ? 0 : readMemory(turn)?.total_cost_usd;
  const { total_cost_usd } = result;
  return {
    result: heard.answer ?? "",
    ...(turn.output_schema && { output: result.structured_output }),
    model: heard.model ?? turn.model,
    usage: usageOf(result),
    cost_usd: costOf(result, costBefore),
    num_turns: result.num_turns,
    stop_reason: result.stop_reason ?? undefined,
    raw: heard.raw ?? {},
    memory: {
      cli_session_id: result.session_id ?? result.sessionId ?? joining.id,
      is_known: true,
      ...(total_cost_usd !== undefined && { total_cost_usd }),
    },
  };
}

type Memory = z.infer<typeof memorySchema>;

const memorySchema = z.object({
  /** The CLI's name of the session, which may be another than the caller's. */
  cli_session_id: z.string(),
  /** A turn completed, so the CLI has written the conversation. */
  is_known: z.boolean(),
  /** The CLI's count for the whole session after the last completed turn. */
  total_cost_usd: z.number().optional(),
});

/** What an older version left in another form is as good as nothing: the CLI then says how to join the session. */
function readMemory({ memory }: Turn): Memory | undefined {
  return memorySchema.safeParse(memory).data;
}

/** Settles as `promise` does, or rejects with the signal's reason when that comes first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", abort));
}
