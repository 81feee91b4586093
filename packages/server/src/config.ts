/** What the daemon is told: flags > environment (`KSI_*`) > `ksi.config.yaml` > defaults, and where each value came from. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { issuesOf, KsiError } from "@ksi/contract";
import type { z } from "zod";
import { configSchema, pathKeys } from "./config-schema.ts";

/** The effective configuration. The keys are those of `ksi.config.yaml`; paths are absolute. */
export type Config = z.infer<typeof configSchema>;
export type ConfigKey = keyof Config;

export interface ConfigInputs {
  /** By key, as a command line gives them: strings are parsed, `undefined` means not given. */
  flags?: { readonly [K in ConfigKey]?: unknown };
  /** Default `process.env`. `KSI_PORT` sets `port`, and so on; an empty string counts as not given. */
  env?: NodeJS.ProcessEnv;
  /** Where `ksi.config.yaml` is looked for first, and the default of `roots`. Default `process.cwd()`. */
  cwd?: string;
}

export interface LoadedConfig {
  config: Config;
  /** For each key where its value came from: `--port`, `KSI_PORT`, the path of the file, or `default`. */
  sources: Record<ConfigKey, string>;
}

const fileName = "ksi.config.yaml";
const configKeys = Object.keys(configSchema.shape) as ConfigKey[];

/**
 * Reads, merges and validates the configuration. Nothing is created.
 *
 * The file is looked for in `cwd`, then in the data directory. Paths in it are relative to its own folder, paths in
 * flags and environment to `cwd`; `~/` is the home directory. Lists in flags and environment are separated by commas.
 *
 * `INVALID_INPUT` names each wrong key and where its value came from, and refuses a host beyond loopback unless
 * `insecure_bind` is set.
 */
export async function loadConfig(inputs: ConfigInputs = {}): Promise<LoadedConfig> {
  const { flags = {}, env = process.env, cwd = process.cwd() } = inputs;
  const given = new Map<ConfigKey, Given>();
  for (const key of configKeys) {
    const flag = flags[key];
    const variable = env[variableOf(key)];
    if (flag !== undefined) given.set(key, { value: flag, source: flagOf(key), folder: cwd });
    else if (variable) given.set(key, { value: variable, source: variableOf(key), folder: cwd });
  }
  for (const [key, value] of await readConfigFile(cwd, given, env)) if (!given.has(key)) given.set(key, value);
  if (!given.has("data_dir")) given.set("data_dir", { value: "~/.ksi", source: "default", folder: cwd });
  if (!given.has("roots")) given.set("roots", { value: [cwd], source: "default", folder: cwd });

  const config = validate(given, homeOf(env));
  refuseOpenBind(config);
  const sources = configKeys.map((key) => [key, given.get(key)?.source ?? "default"]);
  return { config, sources: Object.fromEntries(sources) as LoadedConfig["sources"] };
}

/** The same with its secrets masked: what `ksi config` prints. */
export function maskSecrets(config: Config): Config {
  return {
    ...config,
    ...(config.token && { token: mask }),
    ...(config.redis_url && { redis_url: config.redis_url.replace(/(\/\/[^@/,]*?:)[^@,]*@/g, `$1${mask}@`) }),
  };
}

const mask = "********";

interface Given {
  value: unknown;
  source: string;
  /** What relative paths are relative to. */
  folder: string;
}

/** `data_dir` → `KSI_DATA_DIR` and `--data-dir`. */
const variableOf = (key: ConfigKey) => `KSI_${key.toUpperCase()}`;
const flagOf = (key: ConfigKey) => `--${key.replaceAll("_", "-")}`;
const homeOf = (env: NodeJS.ProcessEnv) => env.HOME ?? homedir();

async function readConfigFile(cwd: string, given: Map<ConfigKey, Given>, env: NodeJS.ProcessEnv) {
  const beside = await readYaml(join(cwd, fileName));
  if (beside) return fileEntries(beside);
  const dataDir = given.get("data_dir")?.value ?? "~/.ksi";
  const inDataDir = await readYaml(join(toPath(String(dataDir), cwd, homeOf(env)), fileName));
  if (!inDataDir) return [];
  if ("data_dir" in inDataDir.content) {
    throw new KsiError("INVALID_INPUT", `data_dir cannot be set in ${inDataDir.path}, which is found through it.`);
  }
  return fileEntries(inDataDir);
}

interface ConfigFile {
  path: string;
  content: Record<string, unknown>;
}

async function readYaml(path: string): Promise<ConfigFile | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw new KsiError("INVALID_INPUT", `${path} cannot be read (${error.code}).`, { cause: error });
  });
  if (text === undefined) return undefined;
  // Most daemons have no file, so the parser is not loaded before one is there.
  const { parse } = await import("yaml");
  const content: unknown = parseOrThrow(() => parse(text), path) ?? {};
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new KsiError("INVALID_INPUT", `${path} must hold keys and values, such as "port: 8001".`);
  }
  return { path, content: content as Record<string, unknown> };
}

function parseOrThrow(parse: () => unknown, path: string): unknown {
  try {
    return parse();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new KsiError("INVALID_INPUT", `${path} is not valid YAML: ${reason}`, { cause });
  }
}

function fileEntries({ path, content }: ConfigFile): [ConfigKey, Given][] {
  return Object.entries(content)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => {
      if (!isConfigKey(key)) {
        throw new KsiError("INVALID_INPUT", `${path}: ${key} is not a setting. There are: ${configKeys.join(", ")}.`);
      }
      return [key, { value, source: path, folder: dirname(path) }];
    });
}

function isConfigKey(key: string): key is ConfigKey {
  return (configKeys as readonly string[]).includes(key);
}

function validate(given: Map<ConfigKey, Given>, home: string): Config {
  const values = [...given].map(([key, { value }]) => [key, value]);
  const parsed = configSchema.safeParse(Object.fromEntries(values));
  if (!parsed.success) {
    const issues = issuesOf(parsed.error);
    const sentences = issues.map(({ path, message }) => {
      const source = given.get(path.split(".")[0] as ConfigKey)?.source ?? "default";
      return `${path} (from ${source}): ${message}`;
    });
    throw new KsiError("INVALID_INPUT", sentences.join("; "), { details: { issues } });
  }
  return resolvePaths(parsed.data, given, home);
}

function resolvePaths(config: Config, given: Map<ConfigKey, Given>, home: string): Config {
  const resolved: Record<string, unknown> = { ...config };
  for (const key of pathKeys) {
    const value = config[key];
    const folder = given.get(key)?.folder;
    if (value === undefined || folder === undefined) continue;
    if (Array.isArray(value)) resolved[key] = value.map((path) => toPath(path, folder, home));
    // A bare program name is looked up on PATH by whoever starts it.
    else if (key === "data_dir" || /[/\\]/.test(value)) resolved[key] = toPath(value, folder, home);
  }
  return resolved as Config;
}

function toPath(path: string, folder: string, home: string): string {
  return path === "~" || path.startsWith("~/") ? join(home, path.slice(1)) : resolve(folder, path);
}

function refuseOpenBind({ host, insecure_bind }: Config): void {
  if (insecure_bind || isLoopback(host)) return;
  throw new KsiError(
    "FORBIDDEN",
    `host ${host} is reachable from other machines, and the daemon speaks plain HTTP: put a TLS proxy in front and ` +
      "keep 127.0.0.1, or set --insecure-bind if the network itself is trusted.",
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
