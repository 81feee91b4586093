import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until.ts";

/** The `ksi` command of this checkout, a plain JavaScript file. */
export const ksiBin = fileURLToPath(new URL("../../cli/bin/ksi.js", import.meta.url));

export interface DaemonProcessOptions {
  dataDir: string;
  /** Where the daemon stands, and so its only root. Default: `dataDir`. */
  cwd?: string;
  /** Added to the environment, of which `KSI_*` is not inherited. */
  env?: Record<string, string>;
  /** Further arguments of `ksi serve`. */
  args?: string[];
}

export interface DaemonProcess extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly url: string;
  readonly token: string;
  /** From the start of the process to the first good answer of /ready. */
  readonly readyMs: number;
  /** What it has written to stdout and stderr so far; of more than 1 MB only the end. */
  output(): string;
  /** SIGTERM unless told otherwise; resolves with the exit code, or the signal's name. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** The daemon as users start it: `ksi serve` in a process of its own, on a free port; stopped when disposed. */
export async function startDaemonProcess(options: DaemonProcessOptions): Promise<DaemonProcess> {
  const { dataDir, cwd = dataDir, env = {}, args = [] } = options;
  const startedAt = performance.now();
  const child = spawn(process.execPath, [ksiBin, "serve", "--port", "0", "--data-dir", dataDir, ...args], {
    cwd,
    env: { ...withoutKsi(process.env), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-1_000_000);
    });
  }
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    const [code, by] = await exited;
    return code ?? by;
  };
  try {
    const url = await until(() => readUrl(child, dataDir), { deadlineMs: 60_000, message: "daemon.json is written" });
    await until(() => isReady(url), { message: "the daemon is ready" });
    const readyMs = performance.now() - startedAt;
    const token = env.KSI_TOKEN ?? (await readFile(join(dataDir, "token"), "utf8")).trim();
    return {
      process: child,
      url,
      token,
      readyMs,
      output: () => output,
      stop,
      [Symbol.asyncDispose]: async () => {
        if (child.exitCode === null && child.signalCode === null) await stop();
      },
    };
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`the daemon did not start: ${output}`, { cause: error });
  }
}

async function readUrl(child: ChildProcess, dataDir: string): Promise<string | undefined> {
  if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
  const text = await readFile(join(dataDir, "daemon.json"), "utf8").catch(() => "");
  if (!text) return undefined;
  const { url, pid } = JSON.parse(text) as { url: string; pid: number };
  return pid === child.pid ? url : undefined; // else it is what a killed daemon left behind
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/ready`).catch(() => undefined);
  return response?.ok ?? false;
}

function withoutKsi(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("KSI_")));
}
