/** The daemon's own token: made at the first start, kept in the data directory, compared in constant time. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { KsiError } from "@ksi/contract/errors";
import { unusable } from "./data-dir.ts";
import type { Logger } from "./logger.ts";

/**
 * The token in `{dataDir}/token`, made there (32 random bytes, mode 0600) when there is none.
 *
 * A token that others could read is closed to them, with a warning, since it may have been read already.
 * `INVALID_INPUT` when the file cannot be used.
 */
export async function loadToken(dataDir: string, logger: Logger): Promise<{ token: string; path: string }> {
  const path = join(dataDir, "token");
  try {
    const token = (await createToken(path)) ?? (await readToken(path, logger));
    return { token, path };
  } catch (thrown) {
    if (thrown instanceof KsiError) throw thrown;
    throw unusable(path, thrown);
  }
}

/** Says whether a candidate is the token, in a time that does not depend on how much of it is right. */
export function createTokenCheck(token: string): (candidate: string | undefined) => boolean {
  const expected = digest(token);
  return (candidate) => candidate !== undefined && timingSafeEqual(digest(candidate), expected);
}

/** The token of an `Authorization: Bearer …` header. */
export function bearerOf(header: string | null | undefined): string | undefined {
  return header?.match(/^Bearer +([^\s]+)\s*$/i)?.[1];
}

/** Comparing digests makes both sides equally long, which timingSafeEqual needs. */
const digest = (text: string) => createHash("sha256").update(text).digest();

/** Undefined where there is one already. */
async function createToken(path: string): Promise<string | undefined> {
  const file = await openUnless("EEXIST", path, "wx");
  if (!file) return undefined;
  await using _ = file;
  const token = randomBytes(32).toString("base64url");
  try {
    await file.writeFile(`${token}\n`);
  } catch (error) {
    // A full disk leaves an empty file, which no later start could use.
    await rm(path, { force: true });
    throw error;
  }
  return token;
}

async function readToken(path: string, logger: Logger): Promise<string> {
  await using file = await open(path, "r");
  const { mode } = await file.stat();
  if (process.platform !== "win32" && mode & 0o077) {
    await chmod(path, 0o600);
    logger.warn({ path }, "other users could read the token; its mode is 0600 now. Delete it to get a new one.");
  }
  const token = (await file.readFile("utf8")).trim();
  if (token.length >= 16) return token;
  throw new KsiError("INVALID_INPUT", `${path} holds no token of at least 16 characters. Delete it to get a new one.`);
}

async function openUnless(code: string, path: string, flags: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags, 0o600);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === code) return undefined;
    throw thrown;
  }
}
