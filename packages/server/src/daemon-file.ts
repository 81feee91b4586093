/** `{data_dir}/daemon.json`: how other programs of this user find the running daemon. */
import { rmSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KsiError } from "@ksi/contract/errors";
import { z } from "zod";
import { unusable } from "./data-dir.ts";

const daemonFile = z.object({ url: z.url(), pid: z.int().positive(), version: z.string() });

export type DaemonFile = z.infer<typeof daemonFile>;

const pathOf = (dataDir: string) => join(dataDir, "daemon.json");

/** Whole or not at all: a reader never sees half of it. `INVALID_INPUT` when it cannot be written. */
export async function writeDaemonFile(dataDir: string, content: DaemonFile): Promise<void> {
  const path = pathOf(dataDir);
  const draft = `${path}.${process.pid}`;
  try {
    await writeFile(draft, `${JSON.stringify(content)}\n`, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Synchronous, so that it also works right before the process exits. */
export function removeDaemonFile(dataDir: string): void {
  rmSync(pathOf(dataDir), { force: true });
}

/**
 * `CONFLICT` while a daemon of this data directory answers. What a killed one left behind does not count: the process
 * must exist, and answer where the file says.
 */
export async function refuseSecondDaemon(dataDir: string): Promise<void> {
  const found = await readDaemonFile(dataDir);
  if (!found || !isAlive(found.pid) || !(await answers(found.url))) return;
  throw new KsiError(
    "CONFLICT",
    `A daemon (pid ${found.pid}) already runs at ${found.url} with the data directory ${dataDir}. ` +
      "Use it, stop it, or choose another --data-dir.",
  );
}

async function readDaemonFile(dataDir: string): Promise<DaemonFile | undefined> {
  try {
    return daemonFile.parse(JSON.parse(await readFile(pathOf(dataDir), "utf8")));
  } catch {
    return undefined; // missing or damaged: then only the lock on the data guards it
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(1_000) });
    return response.status === 200 || response.status === 503;
  } catch {
    return false;
  }
}
