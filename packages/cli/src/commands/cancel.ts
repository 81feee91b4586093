/** `ksi cancel RUN`: ends a run, wherever it is. */
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { findRunId } from "../find-run.ts";

export function addCancelCommand(program: Program, cli: Cli): void {
  program
    .command("cancel")
    .summary("end a run, wherever it is")
    .description("Ends a run: a queued one never starts, a running agent's processes are ended.")
    .argument("<run>", "its run_id, or the beginning of it")
    .option("--reason <text>", "kept with the run")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi cancel RUN", "end it"]]))
    .action(async (idOrPrefix, _options, command) => {
      const { reason, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const runId = await findRunId(link.ksi, idOrPrefix);
      const answer = await link.ksi.runs.cancel(runId, reason);
      const { out } = cli.terminal;
      if (json) out.line(JSON.stringify(answer));
      else if (answer.cancelled) out.line(`Cancelled ${runId}, which was ${answer.status}.`);
      else out.line(`There was nothing to cancel: ${runId} is ${answer.status}.`);
    });
}
