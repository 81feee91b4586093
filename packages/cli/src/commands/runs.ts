/** `ksi runs`: the newest runs, one a line. */

import { Option } from "@commander-js/extra-typings";
import type { Run, RunStatus } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge, formatDuration, tableWidth } from "../format.ts";
import { formatList } from "../list.ts";
import { parseInteger } from "../parse.ts";
import type { Stream, Style } from "../terminal.ts";

/** Complete by type; the names are those of the wire. */
const statusStyles: Record<RunStatus, Style> = {
  queued: "dim",
  running: "cyan",
  completed: "green",
  failed: "red",
  cancelled: "yellow",
  timed_out: "yellow",
};
const statuses = Object.keys(statusStyles) as RunStatus[];

export function addRunsCommand(program: Program, cli: Cli): void {
  program
    .command("runs")
    .summary("the newest runs, one a line")
    .description("Lists runs, newest first: run_id, session_id, status, model, how long ago, how long it took.")
    .option("-n, --limit <number>", "how many at the most", parseInteger(1, 500), 20)
    .addOption(new Option("--status <status>", "only runs in this state").choices(statuses))
    .option("-s, --session <id>", "only runs of this session")
    .option("--json", "print one line of JSON a run")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi runs", "what happened last"],
        ["ksi runs --status running", "what is going on now"],
        ["ksi runs --json | jq -r .run_id", "ids for a script"],
      ]),
    )
    .action(async (_options, command) => {
      const { limit, status, session, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { runs } = await link.ksi.runs.list({
        limit,
        ...(status && { status: status as RunStatus }),
        ...(session && { session_id: session }),
      });
      const { out, err } = cli.terminal;
      if (json) for (const run of runs) out.line(JSON.stringify(run));
      else if (runs.length > 0) out.line(formatRuns(runs, out, Date.now()));
      else err.line(describeNone(status, session));
    });
}

function describeNone(status: string | undefined, session: string | undefined): string {
  const whose = session === undefined ? "" : ` of session ${session}`;
  if (status !== undefined) return `No run${whose} has the status ${status}.`;
  if (session !== undefined) return `There is no run${whose}.`;
  return 'There are no runs. Start one: ksi run "What is 2+2?"';
}

/** @internal for its test */
export function formatRuns(runs: readonly Run[], out: Stream, nowMs: number): string {
  const table = tabulate(runs, out, nowMs);
  const { columns = Number.POSITIVE_INFINITY } = out;
  if (tableWidth(table) <= columns) return table;
  const shortened = runs.map((run) => ({
    ...run,
    run_id: beginning(run.run_id),
    session_id: beginning(run.session_id),
  }));
  return tabulate(shortened, out, nowMs);
}

/** Enough of a random id to tell it from others, and for `ksi logs` and `ksi cancel` to find the run. */
function beginning(id: string): string {
  return id.slice(0, 8);
}

function tabulate(runs: readonly Run[], out: Stream, nowMs: number): string {
  const headings = ["RUN", "SESSION", "STATUS", "MODEL", "AGE", "TOOK"];
  const rows = runs.map((run) => [
    out.foreign(run.run_id),
    out.foreign(run.session_id),
    out.style(statusStyles[run.status], run.status),
    out.foreign(run.model),
    formatAge(run.created_at, nowMs),
    run.duration_ms === undefined ? "" : formatDuration(run.duration_ms),
  ]);
  return formatList({ headings, rows }, out);
}
