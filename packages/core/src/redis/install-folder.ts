import { randomUUID } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Runs `fill` on a new folder of the cache, and gives the folder the name that `fill` answers only when it is complete.
 * A name that is taken (somebody installs at the same time, or what is there does not run any more) gets an addition,
 * so that nothing which may be in use is touched. Gives the final path; leaves nothing behind when `fill` throws.
 */
export async function installFolder(cache: string, fill: (folder: string) => Promise<string>): Promise<string> {
  const id = randomUUID();
  const folder = join(cache, `.unfinished-${id}`);
  await mkdir(folder, { mode: 0o700 });
  try {
    const final = join(cache, await fill(folder));
    if (await renameIfFree(folder, final)) return final;
    await rename(folder, `${final}-${id}`);
    return `${final}-${id}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function renameIfFree(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}
