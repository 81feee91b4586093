/** `ksi sessions`: conversations, what was said in one, and forgetting one. */
import type { Session } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge } from "../format.ts";
import { formatList } from "../list.ts";
import { allPages } from "../pages.ts";
import { parseInteger } from "../parse.ts";
import type { Stream } from "../terminal.ts";
import { addHelpCommand, refuseStrayNames } from "./help.ts";

export function addSessionsCommand(program: Program, cli: Cli): void {
  const sessions = program
    .command("sessions")
    .summary("conversations; show and delete")
    .description("Lists conversations, shows what was said in one, or forgets it.")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi sessions", "the latest conversations"],
        ["ksi sessions show ID", "what was said"],
        ["ksi sessions delete ID", "forget it and its runs"],
      ]),
    );

  const list = sessions
    .command("list", { isDefault: true })
    .description("Lists sessions, the most recently used first.")
    .option("-n, --limit <number>", "how many at the most", parseInteger(1, 500), 20)
    .option("--json", "print one line of JSON a session")
    .addHelpText("after", examples(cli, [["ksi sessions -n 5", "the last five"]]))
    .action(async (_options, command) => {
      const { limit, json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const page = await link.ksi.sessions.list({ limit });
      const { out, err } = cli.terminal;
      if (json) for (const session of page.sessions) out.line(JSON.stringify(session));
      else if (page.sessions.length > 0) out.line(formatSessions(page.sessions, out, Date.now()));
      else err.line('There are no sessions. Start one: ksi run "What is 2+2?"');
    });

  sessions
    .command("show")
    .description("Prints what was said in a session.")
    .argument("<session>", "its session_id")
    .option("--json", "print one line of JSON for each side of a turn")
    .addHelpText("after", examples(cli, [["ksi sessions show ID", "what was said"]]))
    .action(async (sessionId, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { out } = cli.terminal;
      const pages = allPages((place) => link.ksi.sessions.messages({ session_id: sessionId, ...place }));
      for await (const page of pages) {
        for (const turn of page.messages) {
          if (json) out.line(JSON.stringify(turn));
          else {
            out.line(out.style(turn.role === "human" ? "cyan" : "green", `${turn.role}:`));
            out.write(`${out.foreign(turn.content)}\n\n`);
          }
        }
      }
    });

  sessions
    .command("delete")
    .description("Forgets a session and its runs.")
    .argument("<session>", "its session_id")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi sessions delete ID", "forget it and its runs"]]))
    .action(async (sessionId, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const deleted = await link.ksi.sessions.delete(sessionId);
      cli.terminal.out.line(json ? JSON.stringify(deleted) : `Deleted ${sessionId}.`);
    });

  refuseStrayNames(sessions, list);
  addHelpCommand(sessions);
}

function formatSessions(sessions: readonly Session[], out: Stream, nowMs: number): string {
  const headings = ["SESSION", "RUNS", "LAST STATUS", "USED"];
  const rows = sessions.map(({ session_id, run_count, last_status, updated_at }) => [
    out.foreign(session_id),
    String(run_count),
    last_status,
    formatAge(updated_at, nowMs),
  ]);
  return formatList({ headings, rows }, out);
}
