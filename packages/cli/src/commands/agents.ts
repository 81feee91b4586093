/** `ksi agents`: who is registered and who is there; and registering by hand. */
import { Option } from "@commander-js/extra-typings";
import type { Agent, AgentStatus, KsiClient } from "@ksi/client";
import { didYouMean } from "@ksi/contract/near-names";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge, formatTable } from "../format.ts";
import { formatList } from "../list.ts";
import { allPages } from "../pages.ts";
import { parseJsonObject, parseList, parseName } from "../parse.ts";
import type { Stream, Style } from "../terminal.ts";
import { addHelpCommand, refuseStrayNames } from "./help.ts";

type Filter = NonNullable<Parameters<KsiClient["agents"]["list"]>[0]>;

const pageSize = 500;
/** Complete by type. */
const statusStyles: Record<AgentStatus, Style> = { online: "green", offline: "dim" };
const statuses = Object.keys(statusStyles);

export function addAgentsCommand(program: Program, cli: Cli): void {
  const agents = program
    .command("agents")
    .summary("who is registered, and who is there; register and unregister")
    .description("Lists registered agents, shows one, registers or forgets one.")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi agents", "who is registered, and who is there"],
        ["ksi agents show bob", "all about bob"],
        ["ksi agents register bob --capability review", "give bob an inbox"],
        ["ksi agents unregister bob", "forget bob and the inbox"],
      ]),
    );

  const list = agents
    .command("list", { isDefault: true })
    .description("Lists registered agents by name: whether each is there, and for how long nothing was heard of it.")
    .option("--capability <name>", "only agents that can do this")
    .addOption(new Option("--status <status>", "only agents that are there, or are not").choices(statuses))
    .option("--profile <name>", "only agents of this profile")
    .option("--json", "print one line of JSON an agent")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi agents --status online", "who is there"],
        ["ksi agents --capability review --json | jq -r .agent_id", "names for a script"],
      ]),
    )
    .action(async (_options, command) => {
      const { json, capability, status, profile, ...connection } = command.optsWithGlobals();
      const filter = {
        ...(capability !== undefined && { capability }),
        ...(status !== undefined && { status: status as AgentStatus }),
        ...(profile !== undefined && { profile }),
      };
      await using link = await connect(connection, cli);
      const all = await listAll(link.ksi, filter);
      const { out, err } = cli.terminal;
      if (json) for (const agent of all) out.line(JSON.stringify(agent));
      else if (all.length > 0) out.line(formatAgents(all, out, Date.now()));
      else if (Object.keys(filter).length > 0) err.line("No registered agent is like that.");
      else err.line("No agents are registered. Register one: ksi agents register NAME");
    });

  agents
    .command("show")
    .description("Prints all that is known of an agent.")
    .argument("<agent>", "its agent_id")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi agents show bob --json | jq .metadata", "for a script"]]))
    .action(async (agentId, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const agent = await link.ksi.agents.get(agentId);
      const { out } = cli.terminal;
      out.line(json ? JSON.stringify(agent) : describeAgent(agent, out, Date.now()));
    });

  agents
    .command("register")
    .description("Registers an agent and gives it an inbox. A known one gets this profile and these capabilities.")
    .argument("<agent>", "its agent_id")
    .option("--profile <name>", "the preset that it runs with; `ksi profiles` lists some")
    .option("--capability <name>", "what it can do; give it again for more (default: as the profile says)", parseName)
    .option("--capabilities <names>", "several at once, as review,test", parseList)
    .option("--metadata <json>", "a JSON object of yours", parseJsonObject)
    .option("--json", "print one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi agents register bob --capability review --capability test", "give bob an inbox"],
        ["ksi agents register eve --profile critic", "with what the profile can do"],
      ]),
    )
    .action(async (agentId, _options, command) => {
      const { profile, capability, capabilities, metadata, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const registered = await link.ksi.agents.register({
        agent_id: agentId,
        ...(profile !== undefined && { profile }),
        ...((capability || capabilities) && { capabilities: [...(capability ?? []), ...(capabilities ?? [])] }),
        ...(metadata && { metadata }),
      });
      const { out, err } = cli.terminal;
      if (profile !== undefined) await warnOfSlip(link.ksi, profile, err);
      out.line(json ? JSON.stringify(registered) : `Registered ${agentId}. Its messages: ksi inbox ${agentId} -f`);
    });

  agents
    .command("unregister")
    .description("Forgets an agent and its inbox.")
    .argument("<agent>", "its agent_id")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi agents unregister bob", "forget bob"]]))
    .action(async (agentId, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const unregistered = await link.ksi.agents.unregister(agentId);
      cli.terminal.out.line(json ? JSON.stringify(unregistered) : `Unregistered ${agentId}.`);
    });

  refuseStrayNames(agents, list);
  addHelpCommand(agents);
}

/** An agent's profile may be any name, but one that is nearly that of a profile was probably meant to be it. */
async function warnOfSlip({ profiles }: KsiClient, profile: string, err: Stream): Promise<void> {
  const names = (await profiles.list()).profiles.map(({ name }) => name);
  const advice = names.includes(profile) ? "" : didYouMean(profile, names);
  if (advice)
    err.line(`${err.style("yellow", "!")} There is no profile ${err.foreign(JSON.stringify(profile))}.${advice}`);
}

async function listAll({ agents }: KsiClient, filter: Filter): Promise<Agent[]> {
  const all: Agent[] = [];
  const pages = allPages((place) => agents.list({ ...filter, ...place, limit: pageSize }));
  for await (const page of pages) all.push(...page.agents);
  return all;
}

/** @internal for its test */
export function formatAgents(agents: readonly Agent[], out: Stream, nowMs: number): string {
  const headings = ["AGENT", "STATUS", "SEEN", "PROFILE", "CAPABILITIES"];
  const rows = agents.map(({ agent_id, status, last_seen, profile, capabilities }) => [
    out.foreign(agent_id),
    out.style(statusStyles[status], status),
    formatAge(last_seen, nowMs),
    profile === undefined ? "-" : out.foreign(profile),
    // Last, since they may hold blanks.
    out.foreign(capabilities.join(",")) || "-",
  ]);
  return formatList({ headings, rows, cut: ["CAPABILITIES"] }, out);
}

/** @internal for its test */
export function describeAgent(agent: Agent, out: Stream, nowMs: number): string {
  const { agent_id, status, last_seen, registered_at, profile, capabilities, metadata } = agent;
  const ago = (timestamp: string) => {
    const age = formatAge(timestamp, nowMs);
    return age === "now" ? "just now" : `${age} ago`;
  };
  const facts = [
    ["agent", out.foreign(agent_id)],
    ["status", `${out.style(statusStyles[status], status)}, seen ${ago(last_seen)}`],
    ["registered", ago(registered_at)],
    ["profile", profile && out.foreign(profile)],
    ["capabilities", out.foreign(capabilities.join(","))],
    ["metadata", metadata && out.foreign(JSON.stringify(metadata))],
  ].flatMap(([label = "", fact]) => (fact ? [[out.style("dim", label), fact]] : []));
  return formatTable(facts[0] ?? [], facts.slice(1));
}
