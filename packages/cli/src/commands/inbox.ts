/** `ksi inbox NAME`: the messages of an agent. */
import type { Message } from "@ksi/client";
import { type Cli, examples, type Program } from "../cli.ts";
import { follow } from "../follow.ts";
import type { Stream } from "../terminal.ts";

export function addInboxCommand(program: Program, cli: Cli): void {
  program
    .command("inbox")
    .summary("the messages of an agent")
    .description("Prints the messages that are kept in an agent's inbox. Without -f it stops at the present.")
    .argument("<agent>", "its agent_id")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .option("--json", "print every message as one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi inbox bob", "what bob was sent"],
        ["ksi inbox bob -f --json", "let a program follow it"],
      ]),
    )
    .action(async (agentId, _options, command) => {
      const { json, follow: isEndless = false, ...connection } = command.optsWithGlobals();
      const { out } = cli.terminal;
      await follow<Message>(
        {
          connection,
          isEndless,
          open: ({ ksi }, options) => ksi.agents.inbox(agentId, options),
          show: (message) => out.line(json ? JSON.stringify(message) : describeMessage(message, out)),
        },
        cli,
      );
    });
}

/** `10:02:11 alice → bob  DIRECT_MESSAGE  hello`. @internal for its test */
export function describeMessage({ timestamp, source, target, event_type, payload }: Message, out: Stream): string {
  const time = new Date(timestamp).toLocaleTimeString("sv-SE");
  const way = `${out.style("cyan", out.foreign(source))} → ${out.foreign(target ?? "everyone")}`;
  const type = out.style("dim", out.foreign(event_type));
  return `${out.style("dim", time)} ${way}  ${type}  ${out.foreign(textOf(payload))}`;
}

/** What `ksi send "…"` wrote, or the JSON as it is. */
function textOf(payload: Message["payload"]): string {
  if (typeof payload === "string") return payload;
  const isText = typeof payload === "object" && payload !== null && !Array.isArray(payload);
  if (isText && typeof payload.content === "string" && Object.keys(payload).length === 1) return payload.content;
  return JSON.stringify(payload);
}
