/** The `ksi` command: reads the command line, runs one command, and ends every failure in one sentence and a code. */

import { readFile } from "node:fs/promises";
import { type Cli, createBaseProgram, examples } from "./cli.ts";
import { addAgentsCommand } from "./commands/agents.ts";
import { addCancelCommand } from "./commands/cancel.ts";
import { addConfigCommand } from "./commands/config.ts";
import { addEventsCommand } from "./commands/events.ts";
import { addHelpCommand, refuseUnknownCommand } from "./commands/help.ts";
import { addInboxCommand } from "./commands/inbox.ts";
import { addLogsCommand } from "./commands/logs.ts";
import { addMessagesCommand } from "./commands/messages.ts";
import { addProfilesCommand } from "./commands/profiles.ts";
import { addRunCommand } from "./commands/run.ts";
import { addRunsCommand } from "./commands/runs.ts";
import { addSendCommand } from "./commands/send.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addSessionsCommand } from "./commands/sessions.ts";
import { addStateCommand } from "./commands/state.ts";
import { addStatusCommand } from "./commands/status.ts";
import { addTokenCommand } from "./commands/token.ts";
import { addWorkerCommand } from "./commands/worker.ts";
import { exitCode, exitCodeHelp } from "./exit-codes.ts";
import { reportFailure } from "./report-failure.ts";
import { createTerminal, exitWhenReaderLeaves } from "./terminal.ts";

/**
 * Runs `ksi` with these arguments (without node and script) in this process, and gives its exit code; see exit-codes.ts.
 * Never rejects.
 */
export async function main(argv: readonly string[]): Promise<number> {
  exitWhenReaderLeaves(process, (code) => process.exit(code));
  const terminal = createTerminal(process);
  const cli: Cli = {
    terminal,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    version: await readVersion(),
  };
  const code = await runCommand(cli, argv);
  await terminal.flushed();
  return code;
}

async function runCommand(cli: Cli, argv: readonly string[]): Promise<number> {
  const onStray = (error: unknown) => {
    process.exit(reportFailure(error, cli));
  };
  process.once("uncaughtException", onStray);
  try {
    await createProgram(cli).parseAsync(argv.length === 0 ? ["--help"] : [...argv], { from: "user" });
    return exitCode.ok;
  } catch (error) {
    return reportFailure(error, cli);
  } finally {
    process.off("uncaughtException", onStray);
  }
}

/** In the order in which one needs them; the help shows the same. */
function createProgram(cli: Cli) {
  const program = createBaseProgram(cli);
  program.commandsGroup("The daemon:");
  addServeCommand(program, cli);
  addWorkerCommand(program, cli);
  addStatusCommand(program, cli);
  addConfigCommand(program, cli);
  addTokenCommand(program, cli);
  program.commandsGroup("Runs:");
  addRunCommand(program, cli);
  addRunsCommand(program, cli);
  addLogsCommand(program, cli);
  addCancelCommand(program, cli);
  addProfilesCommand(program, cli);
  addSessionsCommand(program, cli);
  program.commandsGroup("Agents:");
  addAgentsCommand(program, cli);
  addSendCommand(program, cli);
  addInboxCommand(program, cli);
  addMessagesCommand(program, cli);
  addStateCommand(program, cli);
  addEventsCommand(program, cli);
  addHelpCommand(program);
  program.on("command:*", ([name = ""]: string[]) => refuseUnknownCommand(program, name));
  program.addHelpText(
    "after",
    examples(cli, [
      ["ksi serve", "start the daemon"],
      ['ksi run "What is 2+2?"', "in another terminal: ask an agent"],
      ["ksi help run", "all about a command"],
    ]),
  );
  program.addHelpText("after", exitCodeHelp);
  return program;
}

async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}
