/** Programs beside us, fetched at their pinned version into an ignored folder: none of them is a dependency of ours. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const cache = fileURLToPath(new URL("../../../.cache/", import.meta.url));

/** The folder of its node_modules. */
export async function installPeer(name: string, version: string): Promise<string> {
  const prefix = join(cache, `${name.replaceAll(/[@/]+/g, "-").replace(/^-/, "")}-${version}`);
  await mkdir(prefix, { recursive: true });
  await promisify(execFile)("npm", ["install", "--prefix", prefix, "--no-audit", "--no-fund", `${name}@${version}`]);
  return join(prefix, "node_modules");
}

export interface PeerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** The first line that it printed and `isReady` accepted. */
  readonly line: string;
}

export interface PeerOptions {
  readonly file: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly isReady: (line: string) => boolean;
}

const startMs = 20_000;

/** Starts it and waits for its line; rejects when it does not come within 20 s. Disposing kills its whole group. */
export async function startPeer({ file, args = [], cwd, env, isReady }: PeerOptions): Promise<PeerProcess> {
  const stdio = ["ignore", "pipe", "ignore"] as const;
  const child = spawn(file, args, { ...(cwd && { cwd }), ...(env && { env }), stdio: [...stdio], detached: true });
  const exited = once(child, "exit");
  const stop = () => child.pid && child.exitCode === null && process.kill(-child.pid, "SIGKILL");
  const deadline = setTimeout(stop, startMs);
  for await (const line of createInterface({ input: child.stdout })) {
    if (!isReady(line)) continue;
    clearTimeout(deadline);
    child.stdout.resume();
    return {
      child,
      line,
      [Symbol.asyncDispose]: async () => {
        stop();
        await exited;
      },
    };
  }
  clearTimeout(deadline);
  stop();
  throw new Error(`${file} did not start`);
}
