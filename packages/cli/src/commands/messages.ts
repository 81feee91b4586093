/** `ksi messages`: what agents have sent each other, and what could not be delivered. */
import type { DeadLetter, KsiClient, Message } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { formatAge } from "../format.ts";
import { formatList } from "../list.ts";
import { describeMessage, formatTime, textOf } from "../message-line.ts";
import { allPages } from "../pages.ts";
import { parseInteger } from "../parse.ts";
import type { Stream } from "../terminal.ts";
import { addHelpCommand, refuseStrayNames } from "./help.ts";

type Filter = NonNullable<Parameters<KsiClient["messages"]["history"]>[0]>;

const pageSize = 500;

export function addMessagesCommand(program: Program, cli: Cli): void {
  const messages = program
    .command("messages")
    .summary("what agents sent each other; dead letters")
    .description("Lists the messages that are kept, and those that could not be delivered.")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi messages", "the latest"],
        ["ksi messages dead bob", "what could not be delivered to bob"],
        ["ksi messages redrive bob", "put it back into bob's inbox"],
      ]),
    );

  const list = messages
    .command("list", { isDefault: true })
    .description(
      "Lists the latest messages that match every given option, the oldest of them first.\n" +
        "A terminal shows as much of each as a line holds, --json all of it.",
    )
    .option("-n, --limit <number>", "how many at the most", parseInteger(1, 100_000), 20)
    .option("--agent <name>", "only those that this agent sent, or was sent directly")
    .option("--from <name>", "only from this one")
    .option("--to <agent>", "only to this agent")
    .option("--type <name>", "only of this kind; x.* stands for all that begin with x.")
    .option("--correlation-id <id>", "only what belongs together under this id")
    .option("--json", "print every message as one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi messages -n 100", "the last hundred"],
        ["ksi messages --from alice --to bob", "what alice sent to bob"],
        ["ksi messages --agent bob --json | jq -r .id", "ids for a script"],
      ]),
    )
    .action(async (_options, command) => {
      const { limit, agent, from, to, type, correlationId, json, ...connection } = command.optsWithGlobals();
      const filter: Filter = {
        ...(agent !== undefined && { agent_id: agent }),
        ...(from !== undefined && { source: from }),
        ...(to !== undefined && { target: to }),
        ...(type !== undefined && { event_type: type }),
        ...(correlationId !== undefined && { correlation_id: correlationId }),
      };
      await using link = await connect(connection, cli);
      const { out, err } = cli.terminal;
      const latest = await findLatest(link.ksi, filter, limit);
      if (json) for (const message of latest) out.line(JSON.stringify(message));
      else if (latest.length > 0) out.line(formatMessages(latest, out, Date.now()));
      else if (Object.keys(filter).length > 0) err.line("No message that is kept is like that.");
      else err.line('There are no messages. Send one: ksi send --to NAME "Hello"');
    });

  messages
    .command("dead")
    .description("Lists the messages that could not be delivered to an agent, the oldest first, and why.")
    .argument("<agent>", "its agent_id")
    .option("--json", "print one line of JSON a message")
    .addHelpText("after", examples(cli, [["ksi messages dead bob --json | jq .message.payload", "what they say"]]))
    .action(async (agentId, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { out, err } = cli.terminal;
      const letters = await listDead(link.ksi, agentId);
      if (json) for (const letter of letters) out.line(JSON.stringify(letter));
      else if (letters.length > 0) out.line(formatDeadLetters(letters, out, Date.now()));
      else err.line(`${err.foreign(agentId)} has no dead letters.`);
    });

  messages
    .command("redrive")
    .description("Puts dead letters back at the end of an agent's inbox: those that are named, or all.")
    .argument("<agent>", "its agent_id")
    .argument("[id...]", "their ids, as `ksi messages dead` prints them")
    .option("--json", "print one line of JSON")
    .addHelpText("after", examples(cli, [["ksi messages redrive bob", "all of bob's"]]))
    .action(async (agentId, ids, _options, command) => {
      const { json, ...connection } = command.optsWithGlobals();
      await using link = await connect(connection, cli);
      const { out } = cli.terminal;
      const redriven = await redrive(link.ksi, agentId, ids);
      const count = redriven === 1 ? "1 message" : `${redriven} messages`;
      out.line(json ? JSON.stringify({ status: "redriven", redriven }) : `Put ${count} back into ${agentId}'s inbox.`);
    });

  refuseStrayNames(messages, list);
  addHelpCommand(messages);
}

/** The oldest of them first. */
async function findLatest({ messages }: KsiClient, filter: Filter, count: number): Promise<Message[]> {
  const latest: Message[] = [];
  const pages = allPages((place) => {
    const limit = Math.min(pageSize, count - latest.length);
    return messages.history({ ...filter, ...place, newest_first: true, limit });
  });
  for await (const page of pages) {
    latest.push(...page.messages);
    if (latest.length >= count) break;
  }
  return latest.reverse();
}

async function listDead({ messages }: KsiClient, agentId: string): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  const pages = allPages((place) => messages.deadLetters({ agent_id: agentId, ...place, limit: pageSize }));
  for await (const page of pages) all.push(...page.dead_letters);
  return all;
}

/** As many calls as it takes: one puts back 500 at the most, and fewer where the inbox is full. */
async function redrive({ messages }: KsiClient, agentId: string, ids: readonly string[]): Promise<number> {
  let total = 0;
  for (let first = 0; ; first += pageSize) {
    const some = ids.slice(first, first + pageSize);
    const { redriven } = await messages.redrive({ agent_id: agentId, ...(some.length > 0 && { ids: some }) });
    total += redriven;
    const isLast = ids.length > 0 ? first + pageSize >= ids.length : redriven < pageSize;
    if (isLast) return total;
  }
}

/** In a pipe as `ksi inbox` prints them. @internal for its test */
export function formatMessages(messages: readonly Message[], out: Stream, nowMs: number): string {
  if (!out.isTty) return messages.map((message) => describeMessage(message, out)).join("\n");
  const headings = ["SENT", "FROM", "TO", "TYPE", "WHAT"];
  const rows = messages.map((message) => [
    out.style("dim", formatSent(message.timestamp, nowMs)),
    out.style("cyan", out.foreign(message.source)),
    out.foreign(message.target ?? "everyone"),
    out.style("dim", out.foreign(message.event_type)),
    out.foreign(textOf(message)),
  ]);
  return formatList({ headings, rows, cut: ["WHAT"] }, out);
}

/** `10:02:11`, with the day before it where that is not today. */
function formatSent(timestamp: string, nowMs: number): string {
  const [day, today] = [new Date(timestamp), new Date(nowMs)].map((date) => date.toLocaleDateString("sv-SE"));
  return day === today ? formatTime(timestamp) : `${day} ${formatTime(timestamp)}`;
}

/** @internal for its test */
export function formatDeadLetters(letters: readonly DeadLetter[], out: Stream, nowMs: number): string {
  const headings = ["ID", "DIED", "WHY", "TRIES", "FROM", "TYPE", "WHAT"];
  const rows = letters.map(({ message, reason, deliveries, died_at }) => [
    message.id,
    formatAge(died_at, nowMs),
    reason,
    String(deliveries),
    out.foreign(message.source),
    out.foreign(message.event_type),
    out.foreign(textOf(message)),
  ]);
  return formatList({ headings, rows, cut: ["WHAT"] }, out);
}
