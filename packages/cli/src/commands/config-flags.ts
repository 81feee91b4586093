/** The daemon's settings as flags of `serve`, `worker` and `config`: `data_dir` is `--data-dir`, and so on. */
import { type CommandUnknownOpts, Option } from "@commander-js/extra-typings";

/** By setting. Those that are missing here can be set by environment and file. The daemon checks the values. */
const flags: readonly (readonly [flag: string, description: string])[] = [
  ["--host <host>", "where to listen (default: 127.0.0.1)"],
  ["-p, --port <port>", "0 takes any free port (default: 8000)"],
  ["--redis-url <url>", "use this Redis; without it the daemon starts one of its own"],
  ["--no-worker", "execute no runs here; `ksi worker` processes do"],
  ["--max-concurrent-runs <number>", "runs at the same time (default: one a core, at least 4)"],
  ["--default-model <name>", "for runs that name none (default: sonnet where claude is found, else echo)"],
  ["--claude-bin <path>", "the claude to start (default: the one on PATH)"],
  ["--roots <folders>", "folders that agents may work in, by commas (default: here)"],
  ["--tools <names>", "what agents may use without asking, by commas"],
  ["--run-timeout-ms <ms>", "time limit of runs that name none (default: 300000)"],
  ["--drain-timeout-ms <ms>", "how long a stopping daemon waits for its runs (default: 30000)"],
  ["--allowed-hosts <names>", "further names under which the daemon may be called, by commas"],
  ["--allowed-origins <origins>", "web pages that may call the daemon, by commas"],
  ["--insecure-bind", "allow a --host that other machines can reach, without TLS"],
  ["--log-level <level>", "debug, info, warn, error or silent (default: info)"],
  ["--debug", "add causes to error answers"],
];

/** What a user would try first. */
const aliases: readonly (readonly [flag: string, setting: string])[] = [
  ["--model <name>", "default_model"],
  ["--allow <folders>", "roots"],
];

export function addConfigFlags(command: CommandUnknownOpts): void {
  for (const [flag, description] of flags) command.option(flag, description);
  for (const [flag] of aliases) command.addOption(new Option(flag).hideHelp());
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
