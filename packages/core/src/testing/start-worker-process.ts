import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { until } from "@ksi/testing";

export interface WorkerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has printed. */
  readonly lines: readonly string[];
  kill(signal: NodeJS.Signals): void;
}

/** Serves the models `before`, `after` and `echo`, and with `claude` those of that CLI; resolves when it takes runs. */
export async function startWorkerProcess(url: string, root: string, claude?: string): Promise<WorkerProcess> {
  const script = fileURLToPath(new URL("worker-process.ts", import.meta.url));
  const args = [script, url, root, ...(claude ? [claude] : [])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  await until(() => lines.length > 0 || child.exitCode !== null, { deadlineMs: 20_000, message: "a worker process" });
  return {
    child,
    lines,
    kill: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
