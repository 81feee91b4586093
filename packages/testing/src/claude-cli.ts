/** The real `claude` CLI for tests. Its licence forbids us to ship it, so a test fetches the pinned version. */
import { execFile } from "node:child_process";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The version that the runner is written against. */
const version = "2.1.329";

/**
 * The path of the CLI, installed into `.cache` (ignored by git) unless it is there: 361 MB, once. Needs npm and its
 * registry then; gives up after four minutes.
 */
export async function installClaudeCli(): Promise<string> {
  const cache = fileURLToPath(new URL("../../../.cache/", import.meta.url));
  const folder = join(cache, `claude-cli-${version}`);
  const bin = join(folder, "node_modules/.bin/claude");
  const isInstalled = await access(bin).then(
    () => true,
    () => false,
  );
  if (!isInstalled) await install(cache, folder);
  return bin;
}

/** Beside the final place first, so that an install that is cut off is not taken for a whole one. */
async function install(cache: string, folder: string): Promise<void> {
  const unfinished = `${folder}.${process.pid}`;
  const settings = ["--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--loglevel=error"];
  await mkdir(cache, { recursive: true });
  await promisify(execFile)(
    "npm",
    ["install", "--prefix", unfinished, ...settings, `@anthropic-ai/claude-code@${version}`],
    { cwd: cache, timeout: 240_000 },
  );
  await rm(folder, { recursive: true, force: true });
  await rename(unfinished, folder);
}
