/** `ksi send`: a message to one agent or to all. */
import type { Json } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect } from "../connect.ts";
import { parseJson } from "../parse.ts";

/** Names under which the predecessor's agents know the two kinds. */
const directType = "DIRECT_MESSAGE";
const broadcastType = "BROADCAST";

export function addSendCommand(program: Program, cli: Cli): void {
  program
    .command("send")
    .summary("send a message to an agent, or to all")
    .description('Puts a message into an agent\'s inbox, or without --to into all. Text travels as {"content": text}.')
    .argument("[text...]", "what to say")
    .option("--from <name>", "who says it", "cli")
    .option("--to <agent>", "who is to get it (default: every registered agent)")
    .option("--type <name>", `the kind of message (default: ${directType}, or ${broadcastType} without --to)`)
    .option("--payload <json>", "any JSON instead of text", parseJson)
    .option("--json", "print one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ['ksi send --from alice --to bob "The tests pass."', "to one"],
        ['ksi send --from alice "Lunch!"', "to all"],
        [`ksi send --to bob --type TASK --payload '{"id":7}'`, "data for a program"],
      ]),
    )
    .action(async (words, _options, command) => {
      const { from, to, type, payload, json, ...connection } = command.optsWithGlobals();
      if ((words.length === 0) === (payload === undefined)) {
        throw new KsiError("INVALID_INPUT", 'Give either a text or --payload, such as: ksi send --to bob "Hello"');
      }
      await using link = await connect(connection, cli);
      const sent = await link.ksi.messages.send({
        source: from,
        ...(to !== undefined && { target: to }),
        event_type: type ?? (to === undefined ? broadcastType : directType),
        payload: payload === undefined ? { content: words.join(" ") } : (payload as Json),
      });
      const { out } = cli.terminal;
      if (json) out.line(JSON.stringify(sent));
      else out.line(to === undefined ? `Sent to ${countInboxes(sent.recipients)}.` : `Sent to ${to}.`);
    });
}

function countInboxes(count: number): string {
  return count === 1 ? "1 inbox" : `${count} inboxes`;
}
