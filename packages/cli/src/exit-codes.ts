/** What `ksi` exits with: one table from error codes to numbers, complete by type. The README prints it. */
import type { ErrorCode } from "@ksi/contract/errors";

/**
 * The numbers a script can rely on. 124 and 130 are what `timeout` and a shell's Ctrl-C give.
 */
export const exitCode = {
  ok: 0,
  /** The run was accepted and did not complete, or the agent that was asked could not do it. */
  runFailed: 1,
  /** The command line, or a value in it, is not what KSI takes. */
  usage: 2,
  /** No daemon answers. */
  unreachable: 3,
  /** No token, a wrong one, or something that this token or folder may not do. */
  notAllowed: 4,
  /** No run, session or agent has this id. */
  notFound: 5,
  /** It contradicts what exists: a port in use, a second daemon on a data directory, a busy session. */
  conflict: 6,
  /** Not now, maybe later: rate limits, a daemon that is stopping, a store that is away. */
  tryLater: 7,
  /** Events that were asked for are no longer kept. */
  historyTrimmed: 8,
  /** A fault of KSI. */
  internal: 70,
  timedOut: 124,
  cancelled: 130,
} as const;

/** For help texts: those that a script asks for first. */
export const exitCodeHelp = `
Exit codes: ${exitCode.ok} it worked, ${exitCode.runFailed} the run did not complete, ${exitCode.usage} wrong usage,
${exitCode.unreachable} no daemon answers, ${exitCode.timedOut} a time limit passed, ${exitCode.cancelled} cancelled.
The README of @ksi/cli has them all.`;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The exit code of a command that ends with this error. A code without a row does not compile. */
export const exitCodes = {
  INVALID_INPUT: exitCode.usage,
  MALFORMED_REQUEST: exitCode.usage,
  UNAUTHORIZED: exitCode.notAllowed,
  FORBIDDEN: exitCode.notAllowed,
  NOT_FOUND: exitCode.notFound,
  METHOD_NOT_ALLOWED: exitCode.usage,
  CONFLICT: exitCode.conflict,
  PAYLOAD_TOO_LARGE: exitCode.usage,
  UNSUPPORTED_MEDIA_TYPE: exitCode.usage,
  RATE_LIMITED: exitCode.tryLater,
  TIMEOUT: exitCode.timedOut,
  NO_AGENT: exitCode.notFound,
  INBOX_FULL: exitCode.tryLater,
  LOOP_DETECTED: exitCode.conflict,
  AGENT_FAILED: exitCode.runFailed,
  CANCELLED: exitCode.cancelled,
  HISTORY_TRIMMED: exitCode.historyTrimmed,
  STORE_UNAVAILABLE: exitCode.tryLater,
  SHUTTING_DOWN: exitCode.tryLater,
  CONNECTION_LOST: exitCode.unreachable,
  INTERNAL: exitCode.internal,
  RUNNER_NOT_FOUND: exitCode.runFailed,
  RUNNER_NOT_EXECUTABLE: exitCode.runFailed,
  RUNNER_CRASHED: exitCode.runFailed,
  RUNNER_BAD_OUTPUT: exitCode.runFailed,
  RUNNER_OUTPUT_TOO_LARGE: exitCode.runFailed,
  SESSION_NOT_FOUND: exitCode.runFailed,
  SESSION_IN_USE: exitCode.runFailed,
  MODEL_NOT_FOUND: exitCode.usage,
  MODEL_AUTH: exitCode.runFailed,
  MODEL_RATE_LIMITED: exitCode.runFailed,
  MODEL_OVERLOADED: exitCode.runFailed,
  MODEL_ERROR: exitCode.runFailed,
  MAX_TURNS: exitCode.runFailed,
  BUDGET_EXCEEDED: exitCode.runFailed,
  OUTPUT_INVALID: exitCode.runFailed,
  RUN_CANCELLED: exitCode.cancelled,
  RUN_TIMED_OUT: exitCode.timedOut,
  WORKER_LOST: exitCode.runFailed,
} as const satisfies Record<ErrorCode, ExitCode>;

/** The exit code of a command whose run was accepted and ended with this error. */
export function exitCodeOfRun(code: ErrorCode): ExitCode {
  return ofRuns.includes(exitCodes[code]) ? exitCodes[code] : exitCode.runFailed;
}

const ofRuns: readonly ExitCode[] = [exitCode.timedOut, exitCode.cancelled, exitCode.internal];
