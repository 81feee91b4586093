import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { until } from "@ksi/testing";

export interface ScriptProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has printed. */
  readonly lines: readonly string[];
  kill(signal: NodeJS.Signals): void;
}

/** A script in a process of its own; resolves with its first line, or its end. Killed when disposed. */
export async function startScriptProcess(script: URL, args: readonly string[]): Promise<ScriptProcess> {
  const path = fileURLToPath(script);
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  await until(() => lines.length > 0 || child.exitCode !== null, { message: `${path} is ready` });
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
