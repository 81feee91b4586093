/** Every way in which a turn of `claude` fails, as the one error of the closed list that says what to do about it. */
import { KsiError, type RunErrorCode } from "@ksi/contract";
import type { AgentExit } from "../agent-process.ts";
import type { ClaudeResult } from "./claude-output.ts";

/** Why a turn that printed its result line failed, or `undefined` when it did not. */
export function failureOfResult(result: ClaudeResult, facts: TurnFacts): KsiError | undefined {
  if (result.is_error || result.subtype !== "success") return reasonOf(result, facts);
  if (facts.hasSchema && result.structured_output === undefined) {
    return fail(
      "OUTPUT_INVALID",
      "The agent's answer never satisfied output_schema. Simplify the schema, or say in the prompt what each field means.",
    );
  }
  return undefined;
}

/** What the judge knows beside the result line. */
export interface TurnFacts {
  readonly model: string;
  readonly session_id: string;
  readonly hasSchema: boolean;
  /** The kind of the last error that the provider answered with. */
  readonly apiError: string | undefined;
}

/** Why a process that ended without a result line failed. */
export function failureOfExit(exit: AgentExit, { session_id, badLine }: ExitFacts): KsiError {
  const cause = new Error(`claude ended with ${describeExit(exit)}; the last of its stderr: ${exit.stderr.trim()}`);
  if (saysInUse(exit)) return sessionInUse(session_id, cause);
  if (saysNoConversation(exit.stderr)) return sessionNotFound(session_id, cause);
  if (exit.isReaped) {
    return fail(
      "WORKER_LOST",
      "The worker stood still for some seconds while the agent was working, so the agent was ended. The run is not repeated, since the agent may have changed things; look at what it did, then spawn it again.",
      cause,
    );
  }
  const schema = /--json-schema is not a valid JSON Schema: (.{1,300})/.exec(exit.stderr)?.[1];
  if (schema)
    return fail(
      "OUTPUT_INVALID",
      `output_schema is not a valid JSON Schema (${schema}). Correct it and spawn the run again.`,
      cause,
    );
  if (badLine) {
    return fail(
      "RUNNER_BAD_OUTPUT",
      "claude printed something that is not its stream-json protocol, and no result. Check that KSI_CLAUDE_BIN is the claude CLI itself and that it is up to date; the daemon's log has the rest.",
      cause,
    );
  }
  return fail(
    "RUNNER_CRASHED",
    `claude ended with ${describeExit(exit)} before it gave a result. The daemon's log has the last of its stderr.`,
    cause,
  );
}

export interface ExitFacts {
  readonly session_id: string;
  /** A whole line that was not of the protocol was seen. */
  readonly badLine: boolean;
}

/** Why the program could not be started. */
export function failureOfStart(error: NodeJS.ErrnoException, file: string): KsiError {
  switch (error.code) {
    case "ENOENT":
      return fail(
        "RUNNER_NOT_FOUND",
        `${file} or its interpreter is gone, or the run's working directory is. Check all three.`,
        error,
      );
    case "EACCES":
    case "EPERM":
    case "ENOEXEC":
    case "ENOTDIR":
      return notExecutable(file, error);
    case "E2BIG":
      return fail(
        "INTERNAL",
        "The run's settings do not fit on a command line. Shorten output_schema or the list of tools.",
        error,
      );
    default:
      return fail(
        "RUNNER_CRASHED",
        `claude could not be started (${error.code ?? error.message}). The machine may be out of processes or memory.`,
        error,
      );
  }
}

export function notFound(where: string): KsiError {
  return fail("RUNNER_NOT_FOUND", `${where} ${installAdvice}`);
}

/** Also what a probe says where it finds nothing. */
const installAdvice =
  "Install it with `npm install --global @anthropic-ai/claude-code`, or set KSI_CLAUDE_BIN to its path.";

export function notExecutable(file: string, cause?: unknown): KsiError {
  return fail("RUNNER_NOT_EXECUTABLE", `${file} cannot be executed. ${executableAdvice(file)}`, cause);
}

function executableAdvice(file: string): string {
  return `Make it executable (chmod +x ${file}) for the user that the daemon runs as, or set KSI_CLAUDE_BIN to another.`;
}

/** The session's id is taken: `--resume` continues it. */
export function saysInUse({ stderr }: Pick<AgentExit, "stderr">): boolean {
  return /session id .* is already in use/i.test(stderr);
}

/** The CLI has no such session: `--session-id` starts it. */
function saysNoConversation(text: string): boolean {
  return /no conversation found/i.test(text);
}

/** It waited three seconds for the prompt, and went on without: nothing has happened yet. */
export function saysNoPrompt({ stderr }: Pick<AgentExit, "stderr">): boolean {
  return /input must be provided/i.test(stderr);
}

function reasonOf(result: ClaudeResult, facts: TurnFacts): KsiError {
  const said = result.result ?? result.errors?.join("; ") ?? "";
  if (saysNoConversation(said)) return sessionNotFound(facts.session_id);
  if (result.terminal_reason?.startsWith("aborted")) {
    return fail("RUNNER_CRASHED", "Something outside KSI interrupted the agent. Spawn the run again.");
  }
  switch (result.subtype) {
    case "error_max_turns":
      return fail(
        "MAX_TURNS",
        "The agent reached its limit of turns. Continue the session with another run, or ask for less at once.",
      );
    case "error_max_budget_usd":
      return fail("BUDGET_EXCEEDED", "The agent reached its limit of cost. Raise the limit, or ask for less at once.");
    case "error_max_structured_output_retries":
      return fail(
        "OUTPUT_INVALID",
        "The agent's answer never satisfied output_schema. Simplify the schema, or say in the prompt what each field means.",
      );
    default:
      return reasonOfProvider(result.api_error_status ?? undefined, said, facts);
  }
}

function reasonOfProvider(status: number | undefined, said: string, { model, apiError }: TurnFacts): KsiError {
  const answered = status === undefined ? "" : ` (HTTP ${status})`;
  if (status === 401 || status === 403 || apiError === "authentication_failed") {
    return fail(
      "MODEL_AUTH",
      `The provider refused the agent's credentials${answered}. Log in with \`claude /login\` as the daemon's user, or set ANTHROPIC_API_KEY where the daemon starts.`,
    );
  }
  if (status === 429 || apiError === "rate_limit") {
    return fail(
      "MODEL_RATE_LIMITED",
      `The provider's rate limit held for longer than the agent retries${answered}. Wait, or lower KSI_MAX_CONCURRENT_RUNS.`,
    );
  }
  if (status === 404 || apiError === "model_not_found") {
    return fail(
      "MODEL_NOT_FOUND",
      `The provider does not know the model ${model}, or these credentials may not use it.`,
    );
  }
  if (status === 529 || status === 503 || apiError === "overloaded") {
    return fail("MODEL_OVERLOADED", `The provider is overloaded${answered}. Spawn the run again in a while.`);
  }
  return fail("MODEL_ERROR", `The agent failed${answered}: ${said.slice(0, 500) || "it did not say why"}`);
}

/** Taken and not to be continued: somebody else is using it now, or its conversation is broken. */
export function sessionInUse(session_id: string, cause?: unknown): KsiError {
  return fail(
    "SESSION_IN_USE",
    `claude says that session ${session_id} is already in use, yet cannot continue it. Use another session_id.`,
    cause,
  );
}

function sessionNotFound(session_id: string, cause?: unknown): KsiError {
  return fail(
    "SESSION_NOT_FOUND",
    `claude has no conversation for session ${session_id}. Its sessions live in the home folder of the worker that ran them: start a new session, or run the worker there.`,
    cause,
  );
}

function fail(code: RunErrorCode, message: string, cause?: unknown): KsiError {
  return new KsiError(code, message, cause === undefined ? {} : { cause });
}

function describeExit({ code, signal }: AgentExit): string {
  if (signal) return `signal ${signal}`;
  return code === null ? "no exit code" : `exit code ${code}`;
}
