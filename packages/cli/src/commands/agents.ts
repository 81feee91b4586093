/** `ksi agents`: who is registered; and registering by hand. */
import type { Agent, KsiClient } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge, formatTable } from "../format.ts";
import { parseJsonObject, parseList } from "../parse.ts";
import type { Stream } from "../terminal.ts";
import { addHelpCommand } from "./help.ts";

export function addAgentsCommand(program: Program, cli: Cli): void {
  const agents = program
    .command("agents")
    .summary("who is registered; register and unregister")
    .description("Lists registered agents, and registers or forgets one.")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi agents", "who is there"],
        ["ksi agents register bob --capabilities review,test", "give bob an inbox"],
        ["ksi agents unregister bob", "forget bob and the inbox"],
      ]),
    );

  agents
    .command("list", { isDefault: true })
    .description("Lists registered agents by name.")
    .option("--json", "print one line of JSON an agent")
    .addHelpText("after", examples(cli, [["ksi agents --json | jq -r .agent_id", "names for a script"]]))
    .action(async (_options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const all = await listAll(link.ksi);
      const { out, err } = cli.terminal;
      if (json) for (const agent of all) out.line(JSON.stringify(agent));
      else if (all.length > 0) out.line(formatAgents(all, out, Date.now()));
      else err.line("No agents are registered. Register one: ksi agents register NAME");
    });

  agents
    .command("register")
    .description("Registers an agent and gives it an inbox. A known one gets this profile and these capabilities.")
    .argument("<agent>", "its agent_id")
    .option("--profile <name>", "the preset that it runs with")
    .option("--capabilities <names>", "what it can do, as review,test", parseList)
    .option("--metadata <json>", "a JSON object of yours", parseJsonObject)
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi agents register bob", "give bob an inbox"]]))
    .action(async (agentId, _options, command) => {
      const { profile, capabilities, metadata, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const registered = await link.ksi.agents.register({
        agent_id: agentId,
        ...(profile !== undefined && { profile }),
        ...(capabilities && { capabilities }),
        ...(metadata && { metadata }),
      });
      const { out } = cli.terminal;
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

  addHelpCommand(agents);
}

async function listAll({ agents }: KsiClient): Promise<Agent[]> {
  const all: Agent[] = [];
  let after: string | undefined;
  do {
    const page = await agents.list(after === undefined ? {} : { after });
    all.push(...page.agents);
    after = page.next;
  } while (after !== undefined);
  return all;
}

function formatAgents(agents: readonly Agent[], out: Stream, nowMs: number): string {
  const headings = ["AGENT", "PROFILE", "CAPABILITIES", "REGISTERED"].map((text) => out.style("dim", text));
  const rows = agents.map(({ agent_id, profile, capabilities, registered_at }) => [
    out.foreign(agent_id),
    profile === undefined ? "-" : out.foreign(profile),
    out.foreign(capabilities.join(",")) || "-",
    formatAge(registered_at, nowMs),
  ]);
  // In a pipe every line is an agent.
  return out.isTty ? formatTable(headings, rows) : formatTable(rows[0] ?? [], rows.slice(1));
}
