/** Finds the `claude` program, and its version, without starting it: 361 MB take a quarter of a second to say one line. */
import { constants } from "node:fs";
import { access, readFile, realpath, stat } from "node:fs/promises";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { KsiError } from "@ksi/contract";
import { notExecutable, notFound } from "./claude-failures.ts";

export interface ClaudeSearch {
  /** A path, or a name to be looked up on PATH. Default `claude`. */
  readonly bin: string | undefined;
  readonly path: string | undefined;
}

/** The program's absolute path. Rejects with `RUNNER_NOT_FOUND` or `RUNNER_NOT_EXECUTABLE`. */
export async function findClaude({ bin = "claude", path = "" }: ClaudeSearch): Promise<string> {
  if (bin.includes("/")) {
    const file = resolve(bin);
    const state = await look(file);
    if (state === "program") return file;
    throw state === "missing" ? notFound(`There is no ${file}.`) : notExecutable(file);
  }

  let refused: string | undefined;
  for (const folder of path.split(delimiter).filter(Boolean)) {
    const file = resolve(folder, bin);
    const state = await look(file);
    if (state === "program") return file;
    if (state === "notExecutable") refused ??= file;
  }
  throw refused === undefined ? notFound(`There is no ${bin} on the daemon's PATH.`) : notExecutable(refused);
}

/**
 * The version as its installation tells it: the native installer names the file after it, npm keeps it in the
 * package's package.json. `undefined` for an installation of another kind.
 */
export async function readClaudeVersion(file: string): Promise<string | undefined> {
  const real = await realpath(file).catch(() => file);
  if (/^\d+\.\d+\.\d+/.test(basename(real))) return basename(real);
  for (const folder of [dirname(real), dirname(dirname(real))]) {
    const manifest = await readFile(join(folder, "package.json"), "utf8").catch(() => undefined);
    const version = manifest && /"version"\s*:\s*"([^"]{1,50})"/.exec(manifest)?.[1];
    if (version && manifest?.includes("claude")) return version;
  }
  return undefined;
}

async function look(file: string): Promise<"program" | "notExecutable" | "missing"> {
  try {
    const found = await stat(file);
    if (!found.isFile()) return "notExecutable";
    await access(file, constants.X_OK);
    return "program";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    if (code === "EACCES" || code === "EPERM") return "notExecutable";
    throw KsiError.from(error);
  }
}
