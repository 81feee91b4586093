/** `ksi events`: what happens, as it happens. */
import type { EventFilter, KsiEvent } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { describeEvent } from "../event-line.ts";
import { follow } from "../follow.ts";
import { parseName } from "../parse.ts";

export function addEventsCommand(program: Program, cli: Cli): void {
  program
    .command("events")
    .summary("what happens, as it happens")
    .description(
      "Prints every change of runs, agents and shared state, every message and what became of it, until Ctrl-C; the text of " +
        "runs is in `ksi logs`.\n" +
        "Only events that match every given option.",
    )
    .option("--type <name>", "of this type; message.* stands for all that begin so. Give it again for more", parseName)
    .option("--agent <name>", "of this agent")
    .option("--source <name>", "caused by this one")
    .option("--target <agent>", "messages to this agent, and what became of those that it sent")
    .option("--session <id>", "of this session")
    .option("--run <id>", "of this run")
    .option("--kept", "only what is kept, and stop at the present")
    .option("--json", "print every event as one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi events", "watch"],
        ["ksi events --type agent.* --type message.dead", "who comes and goes, and what nobody could handle"],
        ["ksi events --kept --type run.failed --json", "for a script"],
      ]),
    )
    .action(async (_options, command) => {
      const { type, agent, source, target, session, run, kept, json, ...connection } = command.optsWithGlobals();
      const filter: EventFilter = {
        ...(type && { types: type }),
        ...(agent !== undefined && { agent_id: agent }),
        ...(source !== undefined && { source }),
        ...(target !== undefined && { target }),
        ...(session !== undefined && { session_id: session }),
        ...(run !== undefined && { run_id: run }),
      };
      const { out } = cli.terminal;
      await follow<KsiEvent>(
        {
          connection,
          isEndless: !kept,
          open: ({ ksi }, options) => ksi.events.subscribe(filter, { ...options, ...(kept && { from: "oldest" }) }),
          show: (event) => out.line(json ? JSON.stringify(event) : describeEvent(event, out)),
        },
        cli,
      );
    });
}
