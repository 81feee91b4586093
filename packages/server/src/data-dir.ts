/** The data directory: token, daemon.json, Redis' data and logs. */
import { constants } from "node:fs";
import { access, mkdir, stat } from "node:fs/promises";
import { KsiError } from "@ksi/contract/errors";
import type { Logger } from "./logger.ts";

/** Makes the folder with mode 0700 where it is missing. `INVALID_INPUT` when it cannot be made or written. */
export async function prepareDataDir(path: string, logger: Logger): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.W_OK | constants.X_OK);
    const { mode } = await stat(path);
    if (process.platform !== "win32" && mode & 0o022) {
      logger.warn({ path }, "other users can write to the data directory, and so replace the token");
    }
  } catch (thrown) {
    throw unusable(path, thrown);
  }
}

export function unusable(path: string, cause: unknown): KsiError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
  const advice = isDiskFull(reason)
    ? "The disk is full: free some space and start again."
    : "Make the data directory writable, or choose another with --data-dir.";
  return new KsiError("INVALID_INPUT", `${path} cannot be read or written (${reason}). ${advice}`, { cause });
}

function isDiskFull(code: string): boolean {
  return code === "ENOSPC" || code === "EDQUOT";
}
