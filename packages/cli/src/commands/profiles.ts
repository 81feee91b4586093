/** `ksi profiles`: the presets that runs can start from, and files that should be some and are not. */
import type { Profile } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatDuration, formatTable, shorten } from "../format.ts";
import { formatList } from "../list.ts";
import type { Stream } from "../terminal.ts";
import { addHelpCommand, refuseStrayNames } from "./help.ts";

export function addProfilesCommand(program: Program, cli: Cli): void {
  const group = program
    .command("profiles")
    .summary("presets for runs: model, system prompt, tools")
    .description(
      "Lists the profiles that a run can start from, by name, or shows one.\n" +
        "They are YAML and JSON files in profiles/ of the daemon's data directory, in its configuration, or ship with it.",
    )
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi profiles", "what there is"],
        ["ksi profiles show coder", "all of one"],
        ['ksi run --profile coder "…"', "run with it"],
      ]),
    );

  const list = group
    .command("list", { isDefault: true })
    .description("Lists the profiles by name, and files that should be some and are not.")
    .option("--json", "print one line of JSON a profile")
    .action(async (_options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { out, err } = cli.terminal;
      const { profiles, problems } = await link.ksi.profiles.list();
      if (json) for (const profile of profiles) out.line(JSON.stringify(profile));
      else if (profiles.length > 0) out.line(formatProfiles(profiles, out));
      for (const { file, message } of problems) {
        err.line(`${err.style("yellow", "!")} ${err.foreign(file)}: ${err.foreign(message)}`);
      }
    });

  group
    .command("show")
    .description("Prints all that a profile says.")
    .argument("<profile>", "its name")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi profiles show coder --json | jq -r .system_prompt", "for a script"]]))
    .action(async (name, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const profile = await link.ksi.profiles.get(name);
      const { out } = cli.terminal;
      out.line(json ? JSON.stringify(profile) : describeProfile(profile, out));
    });

  refuseStrayNames(group, list);
  addHelpCommand(group);
}

/** @internal for its test */
export function formatProfiles(profiles: readonly Profile[], out: Stream): string {
  const headings = ["PROFILE", "FROM", "MODEL", "TOOLS", "DESCRIPTION"];
  const rows = profiles.map((profile) => [
    out.foreign(profile.name),
    origins[profile.origin],
    profile.model === undefined ? "-" : out.foreign(profile.model),
    describeTools(profile, out),
    profile.description === undefined ? "-" : out.foreign(profile.description),
  ]);
  return formatList({ headings, rows, cut: ["TOOLS", "DESCRIPTION"] }, out);
}

/** Only what it says; the system prompt last, as it is. @internal for its test */
export function describeProfile(profile: Profile, out: Stream): string {
  const facts = [
    ["profile", out.foreign(profile.name)],
    ["from", origins[profile.origin]],
    ["description", profile.description && out.foreign(shorten(profile.description, 1_000))],
    ["model", profile.model && out.foreign(profile.model)],
    ["tools", describeTools(profile, out)],
    ["cwd", profile.cwd && out.foreign(profile.cwd)],
    ["time limit", profile.timeout_ms === undefined ? undefined : formatDuration(profile.timeout_ms)],
    ["capabilities", out.foreign(profile.capabilities.join(","))],
  ].flatMap(([label = "", fact]) => (fact ? [[out.style("dim", label), fact]] : []));
  const table = formatTable(facts[0] ?? [], facts.slice(1));
  return profile.system_prompt === undefined ? table : `${table}\n\n${out.foreign(profile.system_prompt)}`;
}

const origins: Readonly<Record<Profile["origin"], string>> = { built_in: "KSI", config: "configuration", file: "file" };

function describeTools({ tools, enable_tools }: Profile, out: Stream): string {
  if (enable_tools === false || tools?.length === 0) return "none";
  return tools ? out.foreign(tools.join(",")) : "all";
}
