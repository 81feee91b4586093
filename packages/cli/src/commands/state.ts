/** `ksi state`: the values that agents share, by namespace and key. */
import type { Json, StateEntry } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge } from "../format.ts";
import { formatList } from "../list.ts";
import { allPages } from "../pages.ts";
import { parseInteger, parseTtl } from "../parse.ts";
import { readStdin } from "../read-stdin.ts";
import type { Stream } from "../terminal.ts";
import { addHelpCommand } from "./help.ts";

type Facts = Omit<StateEntry, "value">;

/** Above what the daemon takes (256 kB without blanks), so that it is the daemon that says so; below what hurts. */
const valueMaxBytes = 4_000_000;
const pageSize = 500;
const maxVersion = Number.MAX_SAFE_INTEGER;
const versionOption = "only if the key has this version";

export function addStateCommand(program: Program, cli: Cli): void {
  const state = program
    .command("state")
    .summary("values that agents share; get, set, delete and list")
    .description("Reads and changes the values that agents share: JSON under a key, in namespaces, with versions.")
    .addHelpText(
      "after",
      examples(cli, [
        [`ksi state set release plan '{"step":1}'`, "set a value"],
        ["ksi state get release plan", "print it"],
        ["ksi state list release", "all keys of the namespace"],
      ]),
    );

  state
    .command("get")
    .description("Prints a value as JSON, and its version on stderr.")
    .argument("<namespace>")
    .argument("<key>")
    .option("--json", "print one line of JSON with value, version and times")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi state get release plan", "the value"],
        ["ksi state get release plan --json | jq .version", "its version, for a script"],
      ]),
    )
    .action(async (namespace, key, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const entry = await link.ksi.state.get(namespace, key);
      const { out, err } = cli.terminal;
      out.line(json ? JSON.stringify(entry) : out.foreign(JSON.stringify(entry.value)));
      if (!json) err.line(err.style("dim", describeFacts(entry, Date.now())));
    });

  state
    .command("set")
    .description("Sets a value. With --if-version only if nobody has changed it since; else it ends with 6.")
    .argument("<namespace>")
    .argument("<key>")
    .argument("<value>", "any JSON, such as 7, '\"text\"' or '{\"a\":1}'; - reads it from stdin")
    .option("--if-version <number>", `${versionOption}; 0: only if it is not there`, parseInteger(0, maxVersion))
    .option("--ttl <time>", "forget it after so long: 30s, 5m, 1h30m, 7d (default: never)", parseTtl)
    .option("--from <name>", "who changes it, told to those who follow", "cli")
    .option("--json", "print one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        [`ksi state set release owner '"bob"'`, "a text"],
        [`ksi state set release lock '"bob"' --if-version 0 --ttl 5m`, "only if nobody else has it"],
        ["jq .plan all.json | ksi state set release plan -", "what a program prints"],
      ]),
    )
    .action(async (namespace, key, text, _options, command) => {
      const { ifVersion, ttl, from, json, ...connection } = command.optsWithGlobals();
      const value = await readValue(text, cli);
      await using link = await connect(connection, cli);
      const set = await link.ksi.state.set({
        namespace,
        key,
        value,
        source: from,
        ...(ifVersion !== undefined && { if_version: ifVersion }),
        ...(ttl !== undefined && { ttl_ms: ttl }),
      });
      const { out } = cli.terminal;
      out.line(json ? JSON.stringify(set) : `Set ${out.foreign(key)} in ${namespace}: version ${set.version}.`);
    });

  state
    .command("delete")
    .description("Forgets a value.")
    .argument("<namespace>")
    .argument("<key>")
    .option("--if-version <number>", versionOption, parseInteger(1, maxVersion))
    .option("--from <name>", "who deletes it, told to those who follow", "cli")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi state delete release plan", "forget it"]]))
    .action(async (namespace, key, _options, command) => {
      const { ifVersion, from, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const deleted = await link.ksi.state.delete({
        namespace,
        key,
        source: from,
        ...(ifVersion !== undefined && { if_version: ifVersion }),
      });
      const { out } = cli.terminal;
      out.line(json ? JSON.stringify(deleted) : `Deleted ${out.foreign(key)} in ${namespace}.`);
    });

  state
    .command("list")
    .description("Lists the keys of a namespace in order: version, how long ago it was set, how long it stays, key.")
    .argument("<namespace>")
    .option("--prefix <text>", "only keys that begin with this")
    .option("--json", "print one line of JSON a key")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi state list release", "all keys"],
        ["ksi state list release --prefix plan/ --json | jq -r .key", "some of them, for a script"],
      ]),
    )
    .action(async (namespace, _options, command) => {
      const { prefix, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { out, err } = cli.terminal;
      let isEmpty = true;
      // A page at a time, since a namespace can hold more than a table should wait for.
      const pages = allPages((place) => link.ksi.state.list({ namespace, prefix, ...place, limit: pageSize }));
      for await (const { entries } of pages) {
        if (entries.length === 0) continue;
        if (json) for (const facts of entries) out.line(JSON.stringify(facts));
        else out.line(formatKeys(entries, out, Date.now()));
        isEmpty = false;
      }
      const which = prefix === undefined ? "" : ` that begins with ${err.foreign(prefix)}`;
      if (isEmpty && !json) err.line(`There is no key${which} in ${namespace}.`);
    });

  addHelpCommand(state);
}

async function readValue(text: string, { stdin }: Cli): Promise<Json> {
  const isPiped = text === "-";
  const tooLong = "The value on stdin is too long: at most 256 kB of JSON.";
  const json = isPiped ? await readStdin(stdin, valueMaxBytes, tooLong) : text;
  try {
    return JSON.parse(json);
  } catch (cause) {
    const sample = isPiped ? "" : " A text needs quotes of its own, which the shell must leave alone: '\"text\"'.";
    throw new KsiError("INVALID_INPUT", `The value${isPiped ? " on stdin" : ""} is not JSON.${sample}`, { cause });
  }
}

/** `version 7, set 12 s ago, kept for 5 m`. @internal for its test */
export function describeFacts({ version, updated_at, expires_at }: Omit<Facts, "namespace" | "key">, nowMs: number) {
  const age = formatAge(updated_at, nowMs);
  const set = age === "now" ? "set just now" : `set ${age} ago`;
  return `version ${version}, ${set}${expires_at === undefined ? "" : `, kept for ${formatRest(expires_at, nowMs)}`}`;
}

/** @internal for its test */
export function formatKeys(entries: readonly Facts[], out: Stream, nowMs: number): string {
  const headings = ["VERSION", "SET", "STAYS", "KEY"];
  const rows = entries.map(({ key, version, updated_at, expires_at }) => [
    String(version),
    formatAge(updated_at, nowMs),
    expires_at === undefined ? "-" : formatRest(expires_at, nowMs),
    // Last, since it may hold blanks.
    out.foreign(key),
  ]);
  return formatList({ headings, rows }, out);
}

/** How long until then: as an age, seen from there. */
function formatRest(timestamp: string, nowMs: number): string {
  const rest = formatAge(new Date(nowMs).toISOString(), Date.parse(timestamp));
  return rest === "now" ? "0 s" : rest;
}
