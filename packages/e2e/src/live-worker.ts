import { spawn } from "node:child_process";
import { once } from "node:events";
import { ksiBin, until } from "@ksi/testing";

export interface LiveWorker extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  output(): string;
  /** SIGTERM; resolves with the exit code, or the signal's name. */
  stop(): Promise<number | NodeJS.Signals | null>;
}

export interface LiveWorkerOptions {
  dataDir: string;
  cwd: string;
  /** Added to the environment; names its Redis. */
  env: Record<string, string>;
}

/** A `ksi worker` process; resolves when it takes runs. */
export async function startLiveWorker({ dataDir, cwd, env }: LiveWorkerOptions): Promise<LiveWorker> {
  const child = spawn(process.execPath, [ksiBin, "worker", "--data-dir", dataDir], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const stop = async () => {
    child.kill("SIGTERM");
    const [code, by] = await exited;
    return code ?? by;
  };
  try {
    await until(
      () => {
        if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
        return output.includes("is ready for");
      },
      { message: "the worker takes runs", deadlineMs: 60_000 },
    );
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`the worker did not start: ${output}`, { cause: error });
  }
  return {
    pid: child.pid ?? 0,
    output: () => output,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop();
    },
  };
}
