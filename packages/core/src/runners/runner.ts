/**
 * What a runner is: the one interface between the worker and whatever executes a run. A second CLI is one more file
 * beside this one.
 */
import type { Image, Json, JsonObject, RunEvent, RunnerStatus, Usage } from "@ksi/contract";

/** One run, as a runner sees it. */
export interface Turn {
  readonly run_id: string;
  readonly session_id: string;
  readonly prompt: string;
  /** Before the prompt, in this order; only for a runner that takes images. */
  readonly images?: readonly Image[] | undefined;
  readonly model: string;
  /** The tools that the agent may use without asking; empty for none. Already narrowed to what is configured. */
  readonly tools: readonly string[];
  readonly system_prompt?: string | undefined;
  /** An existing folder inside a configured root, resolved. */
  readonly cwd: string;
  readonly output_schema?: JsonObject | undefined;
  readonly metadata?: JsonObject | undefined;
  /** What the runner left with the session at its last turn; absent on the session's first. */
  readonly memory?: JsonObject | undefined;
}

/** What happens during a turn, without the fields that the worker adds. */
export type TurnEvent = {
  [T in TurnEventType]: Pick<Extract<RunEvent, { event_type: T }>, "event_type" | "payload">;
}[TurnEventType];

type TurnEventType =
  | "run.text"
  | "run.retracted"
  | "run.thinking"
  | "run.tool_use"
  | "run.tool_result"
  | "run.retrying"
  | "run.permission_denied";

export interface TurnContext {
  /**
   * Ends the turn. Its reason is a KsiError (`RUN_CANCELLED`, `RUN_TIMED_OUT`, `SHUTTING_DOWN`, `WORKER_LOST`), with
   * which `outcome` then rejects. `graceOf` says how long the agent may take to leave.
   */
  readonly signal: AbortSignal;
  /** In the order in which the agent said it. Never blocks; the worker bounds what is buffered. */
  emit(event: TurnEvent): void;
  /**
   * To be awaited before the first byte of the prompt reaches the agent. From then on a lost worker means a failed
   * run; until then the run may be given to another worker. Rejects when the run is no longer this worker's.
   */
  promptHanded(memory?: JsonObject): Promise<void>;
}

export interface TurnOutcome {
  readonly result: string;
  /** The validated answer; only where `output_schema` was given. */
  readonly output?: Json | undefined;
  /** The model that answered, as the provider names it. */
  readonly model: string;
  readonly usage?: Usage | undefined;
  /** For this turn alone, in US dollars. */
  readonly cost_usd?: number | undefined;
  readonly num_turns?: number | undefined;
  readonly stop_reason?: string | undefined;
  /** The agent's own result object, for the turn log. */
  readonly raw: JsonObject;
  /** Kept with the session, and given to its next turn. */
  readonly memory?: JsonObject | undefined;
}

export interface RunningTurn {
  /** Settles as soon as the result is known, which is before the process has ended. Rejects with a KsiError. */
  readonly outcome: Promise<TurnOutcome>;
  /** Settles when nothing of the agent runs any more; never rejects. The session's next run waits for it. */
  readonly ended: Promise<void>;
}

export interface Runner {
  /** `claude`, `echo`, … */
  readonly name: string;
  /** The names it lists; `serves` may accept more. */
  readonly models: readonly string[];
  /** Whether a turn may have `images`. */
  readonly takesImages: boolean;
  serves(model: string): boolean;
  /** Whether it would work here and now, with advice where it would not. Cheap; asked at start and by status. */
  probe(): Promise<RunnerStatus>;
  start(turn: Turn, context: TurnContext): RunningTurn;
}
