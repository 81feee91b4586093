/** `ksi worker`: executes runs for daemons that share its Redis, and opens no door. */
import { setTimeout as pause } from "node:timers/promises";
import type { WorkerProcess } from "@ksi/server";
import { type Cli, examples, type Program } from "../cli.ts";
import { exitCode } from "../exit-codes.ts";
import { formatDuration } from "../format.ts";
import { listenForInterrupts, onceAborted } from "../interrupts.ts";
import { addWorkerFlags, readConfigFlags } from "./config-flags.ts";
import { describeRunners } from "./status.ts";

export function addWorkerCommand(program: Program, cli: Cli): void {
  const command = program
    .command("worker")
    .summary("execute runs for daemons on the same Redis")
    .description(
      "Executes runs for daemons that share its Redis (--redis-url), and opens no door.\n\n" +
        "Ctrl-C lets what runs finish, up to the drain deadline; a second Ctrl-C ends it at once.",
    )
    .addHelpText(
      "after",
      examples(cli, [["ksi worker --redis-url redis://10.0.0.5 --max-concurrent-runs 8", "one more machine"]]),
    )
    .action(async (_options, self) => {
      const { loadConfig, startWorkerProcess } = await import("@ksi/server");
      const { config } = await loadConfig({ flags: readConfigFlags(self), env: cli.env, cwd: cli.cwd });
      const { out, err } = cli.terminal;
      let worker: WorkerProcess | undefined;
      using interrupts = listenForInterrupts(() => {
        worker?.kill();
        err.line("\nStopped at once.");
        process.exit(exitCode.cancelled);
      });
      worker = await startWorkerProcess(config);
      out.line(`KSI worker ${worker.id} is ready for ${config.max_concurrent_runs} runs at a time.`);
      for (const line of describeRunners(worker.runners, out)) out.line(`  ${line}`);
      const interrupted = new Promise<void>((resolve) => onceAborted(interrupts.signal, resolve));
      await Promise.race([worker.closed, interrupted]);
      if (!interrupts.signal.aborted) return;
      err.line("\nStopping.");
      const closing = worker.close();
      if (!(await settlesWithin(closing, idleCloseMs))) {
        const deadline = formatDuration(config.drain_timeout_ms);
        err.line(`Draining: waiting up to ${deadline} for what runs to finish. Ctrl-C again stops at once.`);
      }
      await closing;
      err.line("Stopped.");
    });
  addWorkerFlags(command);
}

/** Where nothing runs, a worker has closed before this; where something does, the user learns what it waits for. */
const idleCloseMs = 1_000;

function settlesWithin(work: Promise<void>, ms: number): Promise<boolean> {
  return Promise.race([work.then(() => true), pause(ms, false, { ref: false })]);
}
