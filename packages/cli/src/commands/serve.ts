/** `ksi serve`: the daemon in the foreground. */
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Config, Daemon } from "@ksi/server";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { exitCode } from "../exit-codes.ts";
import { formatDuration } from "../format.ts";
import { listenForInterrupts, onceAborted } from "../interrupts.ts";
import { addConfigFlags, readConfigFlags } from "./config-flags.ts";
import { describeRunners } from "./status.ts";

export function addServeCommand(program: Program, cli: Cli): void {
  const command = program
    .command("serve")
    .summary("start the daemon")
    .description(
      "Starts the daemon in the foreground: its doors, its Redis and a worker.\n\n" +
        "Ctrl-C lets what runs finish, up to the drain deadline; a second Ctrl-C ends it at once.\n" +
        "Every flag can be a variable (KSI_PORT) or a line of ksi.config.yaml; `ksi config` shows what counts.",
    )
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi serve", "start with defaults"],
        ["ksi serve --port 9000 --roots ~/code,~/notes", "another port, and where agents may work"],
        ["ksi serve --redis-url redis://10.0.0.5 --no-worker", "only doors; workers run elsewhere"],
      ]),
    )
    .action(async (_options, self) => {
      const { loadConfig, startDaemon } = await import("@ksi/server");
      const { config } = await loadConfig({ flags: readConfigFlags(self), env: cli.env, cwd: cli.cwd });
      let daemon: Daemon | undefined;
      let running: number | undefined;
      using interrupts = listenForInterrupts(() => {
        daemon?.kill();
        cli.terminal.err.line(killNotice(daemon?.redis.mode === "embedded" ? running : undefined));
        process.exit(exitCode.cancelled);
      });
      daemon = await startDaemon(config);
      cli.terminal.out.write(banner(daemon, config, cli));
      await Promise.race([daemon.closed, interrupted(interrupts.signal)]);
      if (!interrupts.signal.aborted) return;
      running = await countRunning(daemon, config, cli);
      cli.terminal.err.line(drainNotice(running, config));
      await daemon.close();
      cli.terminal.err.line("Stopped.");
    });
  addConfigFlags(command);
}

/** What a user needs next: where it listens, where the token is, what can run, and a command to try. */
function banner(daemon: Daemon, config: Config, cli: Cli): string {
  const { out } = cli.terminal;
  const row = (name: string, value: string) => `  ${out.style("dim", name.padEnd(9))}${value}`;
  const printsToken = `${commandName(cli)}${dataDirFlag(config, cli)} token`;
  const token = daemon.tokenPath ? `${daemon.tokenPath} (\`${printsToken}\` prints it)` : "the configured one";
  const redis = daemon.redis.mode === "embedded" ? `its own, data in ${config.data_dir}` : "external";
  const runners = describeRunners(daemon.runners, out).map((text, index) => row(index === 0 ? "Runners" : "", text));
  const model =
    daemon.defaultModel === "echo"
      ? `echo, ${out.style("yellow", "an offline demo: it repeats the prompt, no AI model is asked")}`
      : daemon.defaultModel;
  const lines = [
    "",
    `  ${out.style("bold", `KSI ${cli.version}`)} is ready.`,
    "",
    row("URL", out.style("cyan", daemon.url)),
    row("API", `${daemon.url}/docs shows all of it`),
    row("Token", token),
    row("Redis", redis),
    ...runners,
    row("Model", model),
    ...(config.worker ? [] : [row("Worker", "none here: start `ksi worker` with the same Redis")]),
    "",
    "  Try it in another terminal:",
    "",
    `    ${out.style("bold", `${commandName(cli)}${dataDirFlag(config, cli)} run "What is 2+2?"`)}`,
    "",
    out.style("dim", "  Ctrl-C stops it."),
    "",
  ];
  return `${lines.join("\n")}\n`;
}

/** `ksi` where that is how it was started; otherwise it may not be on PATH. */
function commandName({ env }: Cli): string {
  const isOnPath = basename(process.argv[1] ?? "") === "ksi" && !env.npm_execpath;
  return isOnPath ? "ksi" : "npx ksi";
}

/** The other terminal does not know of this one's variables. */
function dataDirFlag({ data_dir }: Config, { env }: Cli): string {
  if (data_dir === join(env.HOME ?? homedir(), ".ksi")) return "";
  const isPlain = /^[\w./-]+$/.test(data_dir);
  return ` --data-dir ${isPlain ? data_dir : `'${data_dir.replaceAll("'", "'\\''")}'`}`;
}

function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => onceAborted(signal, resolve));
}

function drainNotice(running: number | undefined, config: Config): string {
  if (running === 0) return "\nStopping.";
  const what = running === undefined ? "what runs" : running === 1 ? "1 run" : `${running} runs`;
  const deadline = formatDuration(config.drain_timeout_ms);
  return `\nDraining: waiting up to ${deadline} for ${what} to finish. Ctrl-C again stops at once.`;
}

/** Of several runs that were waited for, some may have finished meanwhile; with a shared Redis others may execute them. */
function killNotice(running: number | undefined): string {
  if (!running) return "\nStopped at once.";
  return `\nStopped at once; ${running === 1 ? "1 run was" : `up to ${running} runs were`} killed.`;
}

const countDeadlineMs = 500;

/** `undefined` where the daemon is too busy to say. */
async function countRunning({ url }: Daemon, config: Config, cli: Cli): Promise<number | undefined> {
  try {
    await using link = await connect({ url, token: config.token, dataDir: config.data_dir }, cli);
    const status = await link.ksi.system.status({ signal: AbortSignal.timeout(countDeadlineMs) });
    return status.active_processes;
  } catch {
    return undefined; // a number in a notice is not worth failing for
  }
}
