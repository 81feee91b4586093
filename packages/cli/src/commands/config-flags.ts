/** The daemon's settings as flags of `serve`, `worker` and `config`: `data_dir` is `--data-dir`, and so on. */
import { type CommandUnknownOpts, Option } from "@commander-js/extra-typings";

type Flags = readonly (readonly [flag: string, description: string])[];

/**
 * Of what takes and answers calls. By setting, as those below; what is missing in both can be set by environment and
 * file. The daemon checks the values.
 */
const doorFlags: Flags = [
  ["--host <host>", "where to listen (default: 127.0.0.1)"],
  ["-p, --port <port>", "0 takes any free port (default: 8000)"],
  ["--insecure-bind", "allow a --host that other machines can reach, without TLS"],
  ["--allowed-hosts <names>", "further names under which the daemon may be called, by commas"],
  ["--allowed-origins <origins>", "web pages that may call the daemon, by commas"],
  ["--default-model <name>", "for runs that name none (default: sonnet where claude is found, else echo)"],
  ["--run-timeout-ms <ms>", "time limit of runs that name none (default: 300000)"],
  ["--no-worker", "execute no runs here; `ksi worker` processes do"],
  ["--debug", "add causes to error answers"],
];

/** Of what executes runs. */
const workerFlags: Flags = [
  ["--redis-url <url>", "the Redis to use; without it a daemon starts one of its own"],
  ["--max-concurrent-runs <number>", "runs at the same time (default: one a core, at least 4)"],
  ["--claude-bin <path>", "the claude to start (default: the one on PATH)"],
  ["--roots <folders>", "folders that agents may work in, by commas (default: here)"],
  ["--tools <names>", "what agents may use without asking, by commas"],
  ["--drain-timeout-ms <ms>", "how long to wait for what runs at Ctrl-C (default: 30000)"],
  ["--log-level <level>", "debug, info, warn, error or silent (default: info)"],
];

/** What a user would try first. */
const aliases: readonly (readonly [flag: string, setting: string])[] = [
  ["--model <name>", "default_model"],
  ["--allow <folders>", "roots"],
];

/** For commands that start a daemon, or tell of one. */
export function addConfigFlags(command: CommandUnknownOpts): void {
  for (const [flag, description] of [...doorFlags, ...workerFlags]) command.option(flag, description);
  for (const [flag] of aliases) command.addOption(new Option(flag).hideHelp());
}

/** For `ksi worker`, which has no doors; of the options of every command it needs only the data directory. */
export function addWorkerFlags(command: CommandUnknownOpts): void {
  for (const [flag, description] of workerFlags) command.option(flag, description);
  const globals = command.parent?.options.filter(({ long }) => long === "--data-dir") ?? [];
  command.configureHelp({ ...command.configureHelp(), visibleGlobalOptions: () => globals });
}

/** What the command line set, by setting; defaults are left to the daemon. */
export function readConfigFlags(command: CommandUnknownOpts): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (let at: CommandUnknownOpts | null = command; at; at = at.parent) {
    for (const option of at.options) {
      const name = option.attributeName();
      if (at.getOptionValueSource(name) === "cli") settings[settingOf(option)] = at.getOptionValue(name);
    }
  }
  const { url: _isOfClients, ...ofDaemon } = settings;
  return ofDaemon;
}

function settingOf(option: Option): string {
  const name = option.name().replace(/^no-/, "");
  const alias = aliases.find(([flag]) => flag.startsWith(`--${name} `));
  return alias?.[1] ?? name.replaceAll("-", "_");
}
