/** The turns of each session as JSON lines in `{folder}/{session_id}.jsonl`, for people and for tools that read files. */
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject, WireError } from "@ksi/contract";
import type { Logger } from "./logger.ts";
import type { RunRef } from "./run-record.ts";

/**
 * Lines are written in the order of the calls. Nothing waits for them, and nothing depends on them: where a line cannot
 * be written (a full disk, a folder that is not ours) the log says so and the run goes on.
 */
export interface TurnLog {
  human(run: RunRef, prompt: string): void;
  /** The agent's own result object; `runner` is its type. */
  agent(run: RunRef, runner: string, raw: JsonObject): void;
  /** A turn that ended without a result. */
  error(run: RunRef, error: WireError): void;
  /** Resolves when what was given is written. */
  close(): Promise<void>;
}

export function createTurnLog(folder: string, logger: Logger): TurnLog {
  let writing: Promise<unknown> = Promise.resolve();
  let isFolderMade = false;

  return {
    human: (run, content) => write(run, { type: "human", content }),
    agent: (run, runner, raw) => write(run, { ...raw, type: runner }),
    error: (run, { code, message }) => write(run, { type: "error", code, message }),
    close: async () => void (await writing),
  };

  function write({ run_id, session_id }: RunRef, fields: JsonObject): void {
    const line = `${JSON.stringify({ timestamp: new Date().toISOString(), ...fields })}\n`;
    writing = writing
      .then(() => append(session_id, line))
      .catch((error: unknown) => {
        logger.error({ err: error, run_id, session_id, folder }, "A line of the turn log could not be written.");
      });
  }

  async function append(sessionId: string, line: string): Promise<void> {
    if (!isFolderMade) await mkdir(folder, { recursive: true, mode: 0o700 });
    isFolderMade = true;
    await appendFile(join(folder, `${sessionId}.jsonl`), line, { mode: 0o600 });
  }
}
