/** The built `ksi` as a user has it, in a process of its own. Built by `npm run build`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { ksiBin } from "@ksi/testing";

export interface KsiOutcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface KsiProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** So far. */
  readonly text: { stdout: string; stderr: string };
  readonly finished: Promise<KsiOutcome>;
}

export interface Where {
  cwd: string;
  dataDir: string;
}

/** With a clean environment; when disposed it is killed if it still runs. */
export function startKsi(argv: readonly string[], { cwd, dataDir }: Where, stdin?: string): KsiProcess {
  const { PATH = "", TMPDIR } = process.env;
  const env = { PATH, HOME: dataDir, KSI_DATA_DIR: dataDir, ...(TMPDIR && { TMPDIR }) };
  const child = spawn(process.execPath, [ksiBin, ...argv], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(stdin);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  const finished = once(child, "close").then(([code]) => ({ code: code as number | null, ...text }));
  return {
    child,
    text,
    finished,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await finished;
    },
  };
}

export async function runKsi(argv: readonly string[], where: Where, stdin?: string): Promise<KsiOutcome> {
  await using started = startKsi(argv, where, stdin);
  return await started.finished;
}
