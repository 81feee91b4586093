/**
 * One holder per folder.
 *
 * The lock is a file `lock` that names its holder (pid, start time, machine). It comes into being complete and at once
 * (written aside, then hard-linked), so a reader never sees half of it. A lock whose holder is dead is moved aside and
 * replaced; of two that find the same dead lock, the one that moves it goes on and the other starts over.
 *
 * A holder on another machine or in another container cannot be looked up. Its lock counts as dead, and what guards
 * the data then is the Redis that answers on the folder's socket.
 */
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KsiError } from "@ksi/contract/errors";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";

export interface FolderLock {
  /** The holder before us, where it is known to have ended without a release. */
  readonly previous: ProcessIdentity | undefined;
  release(): Promise<void>;
}

const attempts = 20;

/** `CONFLICT`, naming the pid and the folder, while another live process holds it. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, "lock");
  const self = await identifyProcess(process.pid);
  const mine = JSON.stringify({ ...self, pid: process.pid, id: randomUUID() });
  let previous: ProcessIdentity | undefined;
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await place(path, mine)) {
      return { previous, release: () => removeOwn(path, mine) };
    }
    const found = await readFile(path, "utf8").catch(ignoreMissing);
    if (found === undefined) continue;
    const holder = parseHolder(found);
    if (holder && (await isAlive(holder))) throw inUse(folder, holder.pid);
    if ((await moveAside(path, found)) && holder?.scope === self?.scope) previous = holder;
  }
  throw new KsiError(
    "CONFLICT",
    `The lock of ${folder} changes hands all the time. Are several daemons starting there?`,
  );
}

async function place(path: string, content: string): Promise<boolean> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await writeFile(aside, content, { mode: 0o600 });
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

async function isAlive(holder: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(holder.pid);
  return now !== undefined && now.started === holder.started && now.scope === holder.scope;
}

/** False when somebody else was quicker. */
async function moveAside(path: string, dead: string): Promise<boolean> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await readFile(aside, "utf8")) === dead) return true;
    // Between our look and our move a new holder came: give it its lock back.
    await link(aside, path).catch(ignoreTaken);
    return false;
  } catch (error) {
    ignoreMissing(error);
    return false;
  } finally {
    await rm(aside, { force: true });
  }
}

async function removeOwn(path: string, mine: string): Promise<void> {
  const found = await readFile(path, "utf8").catch(ignoreMissing);
  if (found === mine) await rm(path, { force: true });
}

function parseHolder(content: string): ProcessIdentity | undefined {
  try {
    const { pid, started, scope } = JSON.parse(content) as Partial<ProcessIdentity>;
    return typeof pid === "number" && pid > 0 ? { pid, started: String(started), scope: String(scope) } : undefined;
  } catch {
    // Not ours, or cut off by a full disk: nobody can hold a lock that names nobody.
    return undefined;
  }
}

function inUse(folder: string, pid: number): KsiError {
  return new KsiError(
    "CONFLICT",
    `Another KSI daemon (pid ${pid}) uses ${folder}. Stop it, or give this one its own folder with KSI_DATA_DIR.`,
    { details: { pid, folder } },
  );
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

function ignoreTaken(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
}
