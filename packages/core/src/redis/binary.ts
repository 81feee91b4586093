/**
 * Finds a Redis (or Valkey) 7.0 or newer to run, from the cheapest source to the dearest: the configured one, PATH, our
 * cache, the distribution's packages unpacked into the cache, one that is compiled into the cache.
 *
 * Only the first two are asked on most machines, and only the last two use the network, once.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, mkdir, readdir } from "node:fs/promises";
import { arch, homedir, platform } from "node:os";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { promisify } from "node:util";
import { KsiError } from "@ksi/contract/errors";
import type { Logger } from "../logger.ts";
import { compileRedis } from "./compile-redis.ts";
import { unpackDebianRedis } from "./debian-redis.ts";
import type { FindOnPath, Installer } from "./installer.ts";
import { describeVersion, isSupported, oldestVersion, type RedisVersion } from "./version.ts";

export interface BinaryOptions {
  /** What `KSI_REDIS_BINARY` says: a path, or a name on PATH. When it is given, nothing else is tried. */
  readonly binary?: string | undefined;
  readonly logger: Logger;
  /** For tests; default `process.env`. Read: PATH, HOME, XDG_CACHE_HOME. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** For tests: the sources that use the network. */
  readonly installers?: readonly Installer[] | undefined;
}

const names = ["redis-server", "valkey-server"];
/** Packages take seconds and a compilation minutes; a start that takes longer than this hangs. */
const installDeadlineMs = 600_000;
const versionDeadlineMs = 5_000;

/**
 * An absolute path. `STORE_UNAVAILABLE` when the configured binary cannot be used, or when no source has one; then the
 * message names the command that installs Redis on this system, and its cause says why each source failed.
 */
export async function findRedisBinary(options: BinaryOptions): Promise<string> {
  const { binary, env = process.env, logger, installers = [unpackDebianRedis, compileRedis] } = options;
  const findOnPath = createPathSearch(env);
  if (binary) return useConfigured(binary, findOnPath);
  const cache = join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "ksi");
  const failures: string[] = [];
  const found = (await fromPath(findOnPath, failures)) ?? (await fromCache(cache));
  if (found) return found;
  for (const installer of installers) {
    const installed = await tryInstaller(installer, { cache, env, logger, findOnPath, failures });
    if (installed) return installed;
  }
  throw new KsiError(
    "STORE_UNAVAILABLE",
    `KSI needs Redis ${oldestVersion} or newer and found none. Install it: ${await adviseInstall(findOnPath)}; or set ` +
      "KSI_REDIS_BINARY to its executable, or KSI_REDIS_URL to a running one.",
    { cause: new Error(failures.join("\n")) },
  );
}

async function useConfigured(binary: string, findOnPath: FindOnPath): Promise<string> {
  const path = /[/\\]/.test(binary) ? resolve(binary) : await findOnPath(binary);
  const problem = path === undefined ? "is not on PATH" : await findProblem(path);
  if (path !== undefined && problem === undefined) return path;
  throw new KsiError("STORE_UNAVAILABLE", `KSI_REDIS_BINARY is ${binary}, which ${problem}.`);
}

async function fromPath(findOnPath: FindOnPath, failures: string[]): Promise<string | undefined> {
  for (const name of names) {
    const path = await findOnPath(name);
    const problem = path === undefined ? "is not on PATH" : await findProblem(path);
    if (problem === undefined) return path;
    failures.push(`${path ?? name} ${problem}`);
  }
  return undefined;
}

/** The newest that runs here: a home folder may be shared by machines of several kinds. */
async function fromCache(cache: string): Promise<string | undefined> {
  const entries = await readdir(cache).catch(() => []);
  const folders = entries
    .filter((entry) => entry.startsWith("redis-"))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const folder of folders) {
    const path = join(cache, folder, "redis-server");
    if ((await findProblem(path)) === undefined) return path;
  }
  return undefined;
}

interface InstallerContext {
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
  readonly findOnPath: FindOnPath;
  readonly failures: string[];
}

async function tryInstaller(installer: Installer, context: InstallerContext): Promise<string | undefined> {
  const { cache, env, logger, findOnPath, failures } = context;
  const obstacle = await installer.obstacle(findOnPath);
  if (obstacle !== undefined) {
    failures.push(obstacle);
    return undefined;
  }
  logger.info({ cache }, `Redis is not installed; ${installer.plan}`);
  try {
    await mkdir(cache, { recursive: true });
    const path = await installer.install({ cache, env, signal: AbortSignal.timeout(installDeadlineMs) });
    const problem = await findProblem(path);
    if (problem === undefined) return path;
    failures.push(`${path} ${problem}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.warn({ err: error }, "That did not work.");
    failures.push(`${installer.plan} ${message}`);
  }
  return undefined;
}

function createPathSearch(env: NodeJS.ProcessEnv): FindOnPath {
  const folders = (env.PATH ?? "").split(delimiter).filter(isAbsolute);
  return async (name) => {
    for (const folder of folders) {
      const path = join(folder, name);
      if (await isExecutable(path)) return path;
    }
    return undefined;
  };
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with an executable, as the end of a sentence; undefined when it is a Redis that KSI can use. */
async function findProblem(path: string): Promise<string | undefined> {
  if (!(await isExecutable(path))) return "does not exist or is not executable";
  try {
    const options = { timeout: versionDeadlineMs, killSignal: "SIGKILL" } as const;
    const { stdout } = await promisify(execFile)(path, ["--version"], options);
    const version = parseVersion(stdout);
    if (!version)
      return `does not say a version of Redis with --version (${JSON.stringify(stdout.trim().slice(0, 80))})`;
    return isSupported(version) ? undefined : `is version ${describeVersion(version)}, older than ${oldestVersion}`;
  } catch (error) {
    return `does not run (${(error as Error).message.split("\n", 1)[0]})`;
  }
}

/** `Redis server v=7.0.15 sha=…` or `Valkey server v=8.0.1 …`. */
function parseVersion(text: string): RedisVersion | undefined {
  const [, major, minor] = /\bserver v=(\d+)\.(\d+)/.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

async function adviseInstall(findOnPath: FindOnPath): Promise<string> {
  for (const [tool, command] of installCommands) if (await findOnPath(tool)) return `\`${command}\``;
  return `the package redis of your system (${platform()} ${arch()})`;
}

const installCommands: readonly [tool: string, command: string][] = [
  ["apt-get", "sudo apt-get install redis-server"],
  ["dnf", "sudo dnf install redis"],
  ["yum", "sudo yum install redis"],
  ["apk", "apk add redis"],
  ["pacman", "sudo pacman -S valkey"],
  ["zypper", "sudo zypper install redis"],
  ["brew", "brew install redis"],
  ["port", "sudo port install redis"],
];
