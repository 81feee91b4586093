/** The daemon's log: pino, pretty on a terminal, JSON lines otherwise, with secrets and prompts left out. */
import { type DestinationStream, pino } from "pino";
import type { Config } from "./config.ts";

/** What of pino the rest uses; fields are snake_case. */
export type Logger = Record<"debug" | "info" | "warn" | "error", (fields: object, message: string) => void>;

export interface LoggerOptions {
  level: Config["log_level"];
  /** Default: whether stderr is a terminal. */
  isPretty?: boolean;
  /** Default: stderr, so that stdout stays the command's own. */
  destination?: DestinationStream;
}

/** Fields of these names never reach the log, whoever adds them, up to two levels deep. */
const secrets = ["token", "authorization", "ticket", "prompt", "system_prompt", "password"];
const redactedPaths = secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** Writes whole lines synchronously: what was logged before a crash is there after it. */
export async function createLogger({ level, isPretty, destination }: LoggerOptions): Promise<Logger> {
  const options = {
    level,
    base: null,
    redact: { paths: redactedPaths, censor: "[redacted]" },
    serializers: { err: describeError },
  };
  if (destination) return pino<never>(options, destination);
  if (!(isPretty ?? process.stderr.isTTY)) return pino<never>(options, pino.destination({ dest: 2, sync: true }));
  // As a stream of this thread: pino's usual transport starts a worker thread with a heap of its own.
  const { default: pretty } = await import("pino-pretty");
  return pino<never>(
    options,
    pretty({
      destination: 2,
      sync: true,
      singleLine: true,
      ignore: "pid,hostname,request_id",
      translateTime: "SYS:HH:MM:ss",
      // For eyes: the JSON lines have the whole ids.
      customPrettifiers: { run_id: shorten, session_id: shorten },
    }),
  );
}

const shorten = (id: unknown) => String(id).slice(0, 8);

/** Nothing else of it: the errors of Redis's client carry the call that failed, and with it whole scripts and prompts. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = pino.stdSerializers.err(error);
  const { code } = error as NodeJS.ErrnoException;
  return { type, message, stack, ...(code !== undefined && { code }) };
}
