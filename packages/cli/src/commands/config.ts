/** `ksi config`: the effective configuration of a daemon started here. */
import { type Cli, examples, type Program } from "../cli.ts";
import { formatTable } from "../format.ts";
import { addConfigFlags, readConfigFlags } from "./config-flags.ts";

export function addConfigCommand(program: Program, cli: Cli): void {
  const command = program
    .command("config")
    .summary("the daemon's settings, and where each came from")
    .description(
      "Prints the settings that a daemon started here, with these flags, would have, and where each came from.\n" +
        "Flags win over the environment (KSI_*), that over ksi.config.yaml, that over defaults. Secrets are masked.",
    )
    .option("--json", "print one line of JSON: for each setting its value and source")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi config", "all settings"],
        ["ksi config --json | jq .port.value", "one of them, for a script"],
      ]),
    )
    .action(async ({ json }, self) => {
      const { loadConfig, maskSecrets } = await import("@ksi/server");
      const { json: _isOurs, ...flags } = readConfigFlags(self);
      const { config, sources } = await loadConfig({ flags, env: cli.env, cwd: cli.cwd });
      const settings = Object.entries(sources).map(([key, source]) => {
        const value: unknown = maskSecrets(config)[key as keyof typeof config];
        return { key, value, source };
      });
      const { out } = cli.terminal;
      if (json) {
        const entries = settings.map(({ key, value = null, source }) => [key, { value, source }]);
        return out.line(JSON.stringify(Object.fromEntries(entries)));
      }
      const headings = ["SETTING", "VALUE", "FROM"].map((text) => out.style("dim", text));
      const rows = settings.map(({ key, value, source }) => [
        key,
        describeValue(value),
        source === "default" ? out.style("dim", source) : source,
      ]);
      out.line(formatTable(headings, rows));
    });
  addConfigFlags(command);
}

/** The data directory that the configuration names, for commands that look for the daemon. */
export async function configuredDataDir(where: { env: NodeJS.ProcessEnv; cwd: string }): Promise<string> {
  const { loadConfig } = await import("@ksi/server");
  return (await loadConfig(where)).config.data_dir;
}

function describeValue(value: unknown): string {
  if (value === undefined) return "-";
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.join(",");
  // Profiles: their names say enough, and `ksi profiles` says more.
  if (typeof value === "object" && value !== null) return Object.keys(value).join(",") || "-";
  return String(value);
}
