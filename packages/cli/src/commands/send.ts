/** `ksi send`: a message to one agent, to one that can do it, or to all; and waiting for the answer. */
import type { Json, Replied, SendInput, Sent } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { connect, type Link } from "../connect.ts";
import { textOf } from "../message-line.ts";
import { parseJson, parseName, parseTtl, parseWait } from "../parse.ts";
import type { Stream, Terminal } from "../terminal.ts";

/** Names under which the predecessor's agents know the two kinds. */
const directType = "DIRECT_MESSAGE";
const broadcastType = "BROADCAST";

export function addSendCommand(program: Program, cli: Cli): void {
  program
    .command("send")
    .summary("send a message to an agent, or to all")
    .description(
      "Puts a message into the inbox of an agent (--to), of the best of those online that can do " +
        "something (--capability), or of all (--all).\n" +
        'Text travels as {"content": text}.',
    )
    .argument("[text...]", "what to say")
    .option("--from <name>", "who says it", "cli")
    .option("--to <agent>", "who is to get it")
    .option("--all", "every registered agent is to get it")
    .option("--capability <name>", "what the receiver must be able to do; give it again for more", parseName)
    .option("--type <name>", `the kind of message (default: ${directType}, or ${broadcastType} to all)`)
    .option("--payload <json>", "any JSON instead of text", parseJson)
    .option("--ttl <time>", "expires when not acknowledged for so long: 30s, 5m, 1h30m, 7d", parseTtl)
    .option("--reply-to <agent>", "who is to get the answer (default: who says it)")
    .option("--correlation-id <id>", "what the answer repeats")
    .option("--wait", "wait for the answer, and print it")
    .option("-t, --timeout <time>", "with --wait: for how long, at most 10m (default: 30s)", parseWait)
    .option("--json", "print one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ['ksi send --from alice --to bob "The tests pass."', "to one"],
        ['ksi send --from alice --all "Lunch!"', "to all"],
        [`ksi send --to bob --type TASK --payload '{"id":7}'`, "data for a program"],
        ['ksi send --capability review --wait -t 2m "Is it good?"', "ask whoever can, and print the answer"],
      ]),
    )
    .action(async (words, _options, command) => {
      const { wait, timeout, json, from, to, all, type, payload, ttl, ...others } = command.optsWithGlobals();
      const { capability, replyTo, correlationId, ...connection } = others;
      if ((words.length === 0) === (payload === undefined)) {
        throw refusal('Give either a text or --payload, such as: ksi send --to bob "Hello"');
      }
      const isToAll = all === true;
      const addresses = [to !== undefined, capability !== undefined, isToAll].filter(Boolean).length;
      if (addresses > 1) throw refusal("Give either --to or --capability, or --all.");
      if (addresses === 0) throw refusal("Say who is to get it: --to NAME, --capability NAME, or --all.");
      if (wait && isToAll) throw refusal("--wait needs somebody to answer; give --to or --capability.");
      if (timeout !== undefined && !wait) throw refusal("--timeout says how long to --wait; give that with it.");
      const message: SendInput = {
        source: from,
        ...(to !== undefined && { target: to }),
        ...(capability && { capability }),
        event_type: type ?? (isToAll ? broadcastType : directType),
        payload: payload === undefined ? { content: words.join(" ") } : (payload as Json),
        ...(ttl !== undefined && { ttl_ms: ttl }),
        ...(replyTo !== undefined && { reply_to: replyTo }),
        ...(correlationId !== undefined && { correlation_id: correlationId }),
      };
      await using link = await connect(connection, cli);
      if (wait) showReply(await ask(link, message, timeout), cli.terminal, json);
      else showSent(await link.ksi.messages.send(message), cli.terminal.out, json);
    });
}

function refusal(message: string): KsiError {
  return new KsiError("INVALID_INPUT", message);
}

async function ask({ ksi }: Link, message: SendInput, timeoutMs: number | undefined): Promise<Replied> {
  return await ksi.messages.request({ ...message, ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }) });
}

/** The answer alone on stdout, as `ksi run` prints it; who gave it on stderr. */
function showReply(replied: Replied, { out, err }: Terminal, json: true | undefined): void {
  if (json) {
    out.line(JSON.stringify(replied));
    return;
  }
  out.line(out.foreign(textOf(replied.reply)));
  err.line(err.style("dim", `from ${err.foreign(replied.reply.source)}`));
}

function showSent(sent: Sent, out: Stream, json: true | undefined): void {
  const inboxes = sent.recipients === 1 ? "1 inbox" : `${sent.recipients} inboxes`;
  out.line(json ? JSON.stringify(sent) : `Sent to ${sent.target === undefined ? inboxes : out.foreign(sent.target)}.`);
}
