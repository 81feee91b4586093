import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createKsiClient, type KsiClient } from "@ksi/client";
import { type TempFolder, until } from "@ksi/testing";
import { agentBin } from "./direct.ts";

const ksiBin = fileURLToPath(new URL("../../cli/bin/ksi.js", import.meta.url));

export interface BenchDaemon extends AsyncDisposable {
  readonly process: ChildProcess;
  /** From the start of the process to an answer of /ready. */
  readonly readyMs: number;
  readonly client: KsiClient;
}

/** The daemon as users start it, in a process of its own, with the scripted agent for `claude`. */
export async function startBenchDaemon(folder: TempFolder): Promise<BenchDaemon> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [ksiBin, "serve", "--port", "0", "--data-dir", folder.path], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, KSI_CLAUDE_BIN: agentBin, KSI_LOG_LEVEL: "warn" },
    cwd: folder.path,
  });
  const url = await until(() => readDaemonUrl(folder.path, child), { deadlineMs: 20_000, message: "the daemon is up" });
  await until(async () => (await fetch(`${url}/ready`)).ok, { message: "the daemon is ready" });
  const readyMs = performance.now() - startedAt;
  const token = (await readFile(join(folder.path, "token"), "utf8")).trim();
  const client = createKsiClient({ url, token });
  return {
    process: child,
    readyMs,
    client,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      if (child.exitCode === null && child.kill("SIGTERM")) await once(child, "exit");
    },
  };
}

async function readDaemonUrl(dataDir: string, child: ChildProcess): Promise<string | undefined> {
  if (child.exitCode !== null) throw new Error(`the daemon ended with exit code ${child.exitCode}`);
  const text = await readFile(join(dataDir, "daemon.json"), "utf8").catch(() => undefined);
  if (!text) return undefined;
  const { url, pid } = JSON.parse(text) as { url: string; pid: number };
  return pid === child.pid ? url : undefined;
}
