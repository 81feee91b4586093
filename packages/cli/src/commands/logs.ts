/** `ksi logs RUN`: the events of a run. */
import type { RunEvent } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { findRunId } from "../find-run.ts";
import { follow } from "../follow.ts";
import { createLogView } from "../log-view.ts";

export function addLogsCommand(program: Program, cli: Cli): void {
  program
    .command("logs")
    .summary("the events of a run")
    .description("Prints the events of a run, its text joined. Without -f it stops at the present.")
    .argument("<run>", "its run_id, or the beginning of it")
    .option("-f, --follow", "go on until the run has ended")
    .option("--json", "print every event as one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi logs RUN -f", "watch a run that goes on elsewhere"],
        ["ksi logs RUN --json | jq -r .event_type", "events for a script"],
      ]),
    )
    .action(async (idOrPrefix, _options, command) => {
      const { json, follow: isEndless = false, ...connection } = command.optsWithGlobals();
      const { out } = cli.terminal;
      await follow<RunEvent>(
        {
          connection,
          isEndless,
          open: async ({ ksi }, options) => {
            const run = await ksi.runs.attach(await findRunId(ksi, idOrPrefix));
            return run.events(options);
          },
          show: json ? (event) => out.line(JSON.stringify(event)) : createLogView(out),
        },
        cli,
      );
    });
}
