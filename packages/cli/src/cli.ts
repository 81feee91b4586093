/** What every command is given, and the options that every command takes. */
import { Command, CommanderError, Option } from "@commander-js/extra-typings";
import { parseUrl } from "./parse.ts";
import type { Terminal } from "./terminal.ts";

/** The world around a command, so that a test can give it another one. */
export interface Cli {
  readonly terminal: Terminal;
  readonly stdin: NodeJS.ReadStream;
  readonly env: NodeJS.ProcessEnv;
  /** Where the user stands. */
  readonly cwd: string;
  readonly version: string;
}

/** Where the daemon is, as far as the command line says it. */
export interface ConnectionOptions {
  url?: string | undefined;
  token?: string | undefined;
  dataDir?: string | undefined;
}

/** The `ksi` command without its commands; what a command is added to. */
export type Program = ReturnType<typeof createBaseProgram>;

export function createBaseProgram({ terminal, version }: Cli) {
  return new Command("ksi")
    .description("KSI runs AI agents as a service: a daemon, and the commands that talk to it.")
    .version(version, "-V, --version", "print the version (-v does, too)")
    .addOption(new Option("-v").hideHelp())
    .on("option:v", () => {
      terminal.out.line(version);
      throw new CommanderError(0, "commander.version", version);
    })
    .option("--url <url>", "the daemon's address (KSI_URL; default: the daemon of the data directory)", parseUrl)
    .option("--token <token>", "the daemon's token (better in KSI_TOKEN; default: that of the data directory)")
    .option("--data-dir <folder>", "the daemon's data directory (KSI_DATA_DIR; default: ~/.ksi)")
    .helpOption("-h, --help", "print this help")
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (text) => terminal.out.style("bold", text),
      styleCommandText: (text) => terminal.out.style("cyan", text),
      styleSubcommandText: (text) => terminal.out.style("cyan", text),
      styleOptionText: (text) => terminal.out.style("cyan", text),
    })
    .configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, terminal.err.style("red", "✗ "))),
    })
    .showHelpAfterError("(`--help` shows what there is)")
    .exitOverride();
}

/** The end of a help text: commands to copy, each with what it does. */
export function examples({ terminal }: Cli, lines: readonly (readonly [command: string, purpose: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  const rows = lines.map(
    ([command, purpose]) => `  ${command.padEnd(width)}  ${terminal.out.style("dim", `# ${purpose}`)}`,
  );
  return `\n${terminal.out.style("bold", "Examples:")}\n${rows.join("\n")}`;
}
