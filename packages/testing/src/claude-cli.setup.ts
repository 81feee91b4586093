/** Vitest's global setup for the tests against the real CLI: installs the pinned version once, and says where it is. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

/** The version that the runner is written against; its licence forbids us to ship it, so a test fetches it. */
const version = "2.1.329";

declare module "vitest" {
  export interface ProvidedContext {
    claudeBin: string;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const cache = fileURLToPath(new URL("../../../.cache/", import.meta.url));
  const folder = join(cache, `claude-cli-${version}`);
  if (!existsSync(join(folder, "node_modules/.bin/claude"))) await install(cache, folder);
  project.provide("claudeBin", join(folder, "node_modules/.bin/claude"));
}

/** Beside the final place first, so that an install that is cut off is not taken for a whole one. */
async function install(cache: string, folder: string): Promise<void> {
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(join(cache), { recursive: true });
  await rm(unfinished, { recursive: true, force: true });
  const settings = ["--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--loglevel=error"];
  await promisify(execFile)(
    "npm",
    ["install", "--prefix", unfinished, ...settings, `@anthropic-ai/claude-code@${version}`],
    { cwd: cache, timeout: 240_000 },
  );
  await rm(folder, { recursive: true, force: true });
  await rename(unfinished, folder);
}
