/** The end of a command that failed: one sentence on stderr and the exit code. A stack only with KSI_DEBUG. */
import { CommanderError } from "@commander-js/extra-typings";
import { KsiError } from "@ksi/contract/errors";
import type { Cli } from "./cli.ts";
import { exitCode, exitCodeOfRun, exitCodes } from "./exit-codes.ts";
import { RunFailure } from "./run-failure.ts";

export function reportFailure(thrown: unknown, { terminal, env }: Cli): number {
  // Commander has said already what was wrong, or has printed the help that was asked for.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCode.ok : exitCode.usage;
  const { err } = terminal;
  const error = toKsiError(thrown);
  if (error.code === "RUN_CANCELLED") err.line(err.style("yellow", `✗ ${err.foreign(error.message)}`));
  else err.line(`${err.style("red", "✗")} ${err.foreign(error.message)}`);
  if (env.KSI_DEBUG) err.line(err.style("dim", err.foreign(describe(thrown))));
  return error instanceof RunFailure ? exitCodeOfRun(error.code) : exitCodes[error.code];
}

function toKsiError(thrown: unknown): KsiError {
  const error = KsiError.from(thrown);
  // What the daemon raised as INTERNAL arrives as our own class; all else is a fault of this command.
  if (error.code !== "INTERNAL" || thrown instanceof KsiError) return error;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const advice = "Set KSI_DEBUG=1 to see where.";
  return new KsiError("INTERNAL", `Something went wrong in ksi itself: ${reason}. ${advice}`, { cause: thrown });
}

function describe(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  const cause = thrown instanceof Error && thrown.cause !== undefined ? `\ncaused by: ${describe(thrown.cause)}` : "";
  return stack + cause;
}
