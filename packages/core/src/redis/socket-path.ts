import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { KsiError } from "@ksi/contract/errors";

/** What fits into a socket address with its final zero: 108 bytes on Linux, 104 on macOS and the BSDs. */
const maxBytes = process.platform === "linux" ? 107 : 103;

/**
 * Where the socket for `folder` is: inside it, or, when that path is too long for a socket, under a short private
 * folder of this user with a name that follows from `folder`, so that the next daemon looks in the same place.
 *
 * `STORE_UNAVAILABLE` when no private short folder can be had.
 */
export async function chooseSocketPath(folder: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const inside = join(folder, "redis.sock");
  if (fits(inside)) return inside;
  const name = `${createHash("sha256").update(folder).digest("hex").slice(0, 16)}.sock`;
  for (const base of [env.XDG_RUNTIME_DIR, tmpdir(), "/tmp"]) {
    const privateFolder = base && join(base, `ksi-${userInfo().uid}`);
    if (!privateFolder || !fits(join(privateFolder, name))) continue;
    if (await makePrivate(privateFolder)) return join(privateFolder, name);
  }
  throw new KsiError(
    "STORE_UNAVAILABLE",
    `The path ${inside} is too long for a socket (${maxBytes} bytes), and no short private folder could be made in ` +
      "XDG_RUNTIME_DIR or /tmp. Choose a shorter KSI_DATA_DIR.",
  );
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= maxBytes;
}

/** In a folder that all may write to, somebody else may have made it first: then it is not used. */
async function makePrivate(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return false;
  }
  const stat = await lstat(folder);
  return stat.isDirectory() && stat.uid === userInfo().uid && (stat.mode & 0o077) === 0;
}
