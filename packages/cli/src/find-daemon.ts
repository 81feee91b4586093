/** Finds the running daemon: flags, then `KSI_URL` and `KSI_TOKEN`, then what it left in its data directory. */
import { access, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { KsiError } from "@ksi/contract/errors";
import type { Cli, ConnectionOptions } from "./cli.ts";
import { parseUrl } from "./parse.ts";

export interface DaemonAddress {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly token: string | undefined;
  /** Whether it runs on this machine, so that a folder here is the same folder there. */
  readonly isLocal: boolean;
  /** Where the address came from, for messages: `--url`, `KSI_URL`, or the data directory. */
  readonly source: string;
}

/** How one starts a daemon; the end of every sentence that says there is none. */
export const startAdvice = "Start one with `npm start` or `ksi serve`.";

/** Looks only at files: whether somebody answers there is another question. `CONNECTION_LOST` where there is no trace of a daemon. */
export async function findDaemon(options: ConnectionOptions, cli: Cli): Promise<DaemonAddress> {
  const dataDir = await findDataDir(options, cli);
  const { url, source } = givenUrl(options, cli) ?? (await recordedUrl(dataDir));
  const isLocal = isLoopback(url);
  const given = options.token || cli.env.KSI_TOKEN;
  // The token of this machine's daemon is nobody else's to see.
  const token = given || (isLocal ? await readToken(dataDir) : undefined);
  return { url, token, isLocal, source };
}

/** `--data-dir`, `KSI_DATA_DIR`, what a `ksi.config.yaml` here says, else `~/.ksi`. Absolute. */
export async function findDataDir({ dataDir }: ConnectionOptions, { env, cwd }: Cli): Promise<string> {
  const home = env.HOME ?? homedir();
  const given = dataDir || env.KSI_DATA_DIR;
  if (given) return given === "~" || given.startsWith("~/") ? join(home, given.slice(1)) : resolve(cwd, given);
  const hasConfigFile = await access(join(cwd, "ksi.config.yaml")).then(
    () => true,
    () => false,
  );
  if (!hasConfigFile) return join(home, ".ksi");
  // Loaded only now: it brings the server along, which costs more than all the rest of a command.
  const { configuredDataDir } = await import("./commands/config.ts");
  return configuredDataDir({ env, cwd });
}

/** The token in the data directory, or `undefined` when there is none. `FORBIDDEN` when it belongs to another user. */
export async function readToken(dataDir: string): Promise<string | undefined> {
  const path = join(dataDir, "token");
  const text = await readOptional(path);
  return text?.trim() || undefined;
}

function givenUrl({ url }: ConnectionOptions, { env }: Cli): { url: string; source: string } | undefined {
  if (url) return { url, source: "--url" };
  if (!env.KSI_URL) return undefined;
  try {
    return { url: parseUrl(env.KSI_URL), source: "KSI_URL" };
  } catch (cause) {
    throw new KsiError("INVALID_INPUT", `KSI_URL: ${(cause as Error).message}`, { cause });
  }
}

async function recordedUrl(dataDir: string): Promise<{ url: string; source: string }> {
  const text = await readOptional(join(dataDir, "daemon.json"));
  const url = text === undefined ? undefined : urlOf(text);
  if (url) return { url, source: dataDir };
  throw new KsiError("CONNECTION_LOST", `No KSI daemon runs on the data directory ${dataDir}. ${startAdvice}`);
}

function urlOf(daemonJson: string): string | undefined {
  try {
    const { url } = JSON.parse(daemonJson) as { url?: unknown };
    return typeof url === "string" ? parseUrl(url) : undefined;
  } catch {
    return undefined; // half-written or damaged, which is as good as none
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const advice = "Run this as the user who started the daemon, or give --url and --token.";
    throw new KsiError("FORBIDDEN", `${path} cannot be read (${code}). ${advice}`, { cause: error });
  }
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
