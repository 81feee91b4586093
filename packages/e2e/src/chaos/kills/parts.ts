/** What is killed: a Redis that keeps what it acknowledged, servers without workers, and workers without doors. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type Store, startStore } from "@ksi/core";
import { ksiBin, startDaemonProcess } from "@ksi/testing";
import { silentLogger } from "../silent-logger.ts";
import type { Part } from "./supervised.ts";

export interface Surroundings {
  readonly folder: string;
  readonly env: Record<string, string>;
}

export interface RedisPart extends Part {
  readonly store: Store;
}

/** To all others it is an external one. It syncs every write (`appendfsync always`). */
export async function startRedis(dir: string): Promise<RedisPart> {
  const exited = Promise.withResolvers<void>();
  const store = await startStore({ dir, logger: silentLogger, onExit: () => exited.resolve() });
  const [, pid] = /^process_id:(\d+)/m.exec(await store.commands.info("server")) ?? [];
  return {
    store,
    pid: Number(pid),
    // Only then may the next one use the folder.
    exited: exited.promise.then(() => store.close()),
    end: () => store.close(),
  };
}

export interface ServerPart extends Part {
  readonly url: string;
}

/** On the port of the one before, so that clients find it again. */
export async function startServer(
  name: string,
  { folder, env }: Surroundings,
  before: ServerPart | undefined,
): Promise<ServerPart> {
  const args = ["--no-worker", "--port", before ? new URL(before.url).port : "0"];
  const daemon = await startDaemonProcess({ dataDir: `${folder}/${name}`, cwd: folder, env, args });
  const { pid = 0 } = daemon.process;
  return { pid, url: daemon.url, exited: exitOf(daemon.process), end: () => daemon.stop() };
}

/** Resolves when it takes runs. */
export async function startWorker(name: string, { folder, env }: Surroundings): Promise<Part> {
  const worker = spawn(process.execPath, [ksiBin, "worker", "--data-dir", `${folder}/${name}`], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = exitOf(worker);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  createInterface({ input: worker.stdout }).on("line", (line) => line.includes("is ready for") && resolve());
  void exited.then(() => reject(new Error("it ended before it took runs")));
  await promise;
  return {
    pid: worker.pid ?? 0,
    exited,
    end: async () => {
      worker.kill("SIGTERM");
      await exited;
    },
  };
}

function exitOf(child: ChildProcess): Promise<unknown> {
  return child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve();
}
