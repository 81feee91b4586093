/** The turns of each session as JSON lines in `{folder}/{session_id}.jsonl`, for people and for tools that read files. */
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { JsonObject, WireError } from "@ksi/contract";
import type { Logger } from "./logger.ts";
import type { RunRef } from "./run-record.ts";

/**
 * Lines are written in the order of the calls, and those of a session that wait together in one go. Nothing waits for them, and nothing depends on them: where a line cannot
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

/** Both sides of a quick turn are then one write: to open a file costs more than all else of such a run. */
const gatherMs = 20;

export function createTurnLog(folder: string, logger: Logger): TurnLog {
  let waiting = new Map<string, { run: RunRef; lines: string }>();
  let writing: Promise<void> | undefined;
  let isFolderMade = false;

  return {
    human: (run, content) => write(run, { type: "human", content }),
    agent: (run, runner, raw) => write(run, { ...raw, type: runner }),
    error: (run, { code, message }) => write(run, { type: "error", code, message }),
    close: async () => void (await writing),
  };

  function write(run: RunRef, fields: JsonObject): void {
    const line = lineOf(run, { timestamp: new Date().toISOString(), ...fields });
    waiting.set(run.session_id, { run, lines: (waiting.get(run.session_id)?.lines ?? "") + line });
    writing ??= writeAll();
  }

  /** What an agent nests deeper than JSON.stringify can follow costs the line, and not the run. */
  function lineOf({ run_id, session_id }: RunRef, fields: JsonObject): string {
    try {
      return `${JSON.stringify(fields)}\n`;
    } catch (error) {
      logger.error({ err: error, run_id, session_id }, "A line of the turn log could not be written.");
      return "";
    }
  }

  /** Never rejects. */
  async function writeAll(): Promise<void> {
    while (waiting.size > 0) {
      await setTimeout(gatherMs);
      const taken = waiting;
      waiting = new Map();
      for (const { run, lines } of taken.values()) await append(run, lines);
    }
    writing = undefined;
  }

  async function append({ run_id, session_id }: RunRef, lines: string): Promise<void> {
    try {
      if (!isFolderMade) await mkdir(folder, { recursive: true, mode: 0o700 });
      isFolderMade = true;
      await appendFile(join(folder, `${session_id}.jsonl`), lines, { mode: 0o600 });
    } catch (error) {
      logger.error({ err: error, run_id, session_id, folder }, "A line of the turn log could not be written.");
    }
  }
}
