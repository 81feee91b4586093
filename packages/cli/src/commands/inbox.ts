/** `ksi inbox NAME`: the messages of an agent, looked at or taken. */
import type { FollowOptions, KsiClient, Message } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import { type Cli, examples, type Program } from "../cli.ts";
import { follow } from "../follow.ts";
import { describeMessage } from "../message-line.ts";

/** What one call of `messages.ack` takes. */
const ackMaxIds = 500;

interface InboxFlags {
  readonly ack?: true | undefined;
  readonly shared?: true | undefined;
}

export function addInboxCommand(program: Program, cli: Cli): void {
  program
    .command("inbox")
    .summary("the messages of an agent")
    .description(
      "Prints the messages that are kept in an agent's inbox, and changes nothing.\n" +
        "With --ack it takes them: it begins with those that nobody has acknowledged, and acknowledges each once it is " +
        "printed, so that it is not delivered again. Without -f it stops at the present.",
    )
    .argument("<agent>", "its agent_id")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .option("--ack", "take the messages instead of looking at them; while it lasts, the agent is online")
    .option("--shared", "with --ack: divide them among all who follow this inbox with --shared")
    .option("--json", "print every message as one line of JSON")
    .addHelpText(
      "after",
      examples(cli, [
        ["ksi inbox bob", "what bob was sent"],
        ["ksi inbox bob --ack", "what bob has not seen yet, once"],
        ["ksi inbox bob -f --ack --json", "be bob: let a program follow it"],
        ["ksi inbox bob -f --ack --shared", "in several terminals: divide the work"],
      ]),
    )
    .action(async (agentId, _options, command) => {
      const { json, follow: isEndless = false, ack, shared, ...connection } = command.optsWithGlobals();
      if (shared && !ack)
        throw new KsiError("INVALID_INPUT", "--shared takes messages from others; give --ack with it.");
      const { out } = cli.terminal;
      let acks: Acks | undefined;
      await follow<Message>(
        {
          connection,
          isEndless,
          open({ ksi }, options) {
            if (ack) acks = createAcks(ksi, agentId);
            return openInbox(ksi, agentId, { ack, shared }, options);
          },
          show(message) {
            out.line(json ? JSON.stringify(message) : describeMessage(message, out));
            acks?.add(message.id);
          },
          afterwards: () => acks?.done(),
        },
        cli,
      );
    });
}

function openInbox({ agents }: KsiClient, agentId: string, { ack, shared }: InboxFlags, options: FollowOptions) {
  if (shared) {
    const { signal, onReconnect } = options;
    return agents.inbox(agentId, { mode: "shared", signal, onReconnect });
  }
  return agents.inbox(agentId, ack ? options : { ...options, from: "oldest" });
}

interface Acks {
  /** Throws what an earlier one met. */
  add(id: string): void;
  /** Rejects where one of them failed. */
  done(): Promise<void>;
}

/** While one call is under way, further ids wait for the next. */
function createAcks({ messages }: KsiClient, agentId: string): Acks {
  const waiting: string[] = [];
  let calling: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;

  async function callAll() {
    try {
      while (waiting.length > 0) await messages.ack({ agent_id: agentId, ids: waiting.splice(0, ackMaxIds) });
    } catch (error) {
      failure = { error };
    }
    calling = undefined;
  }

  function check() {
    if (failure) throw failure.error;
  }

  return {
    add(id) {
      check();
      waiting.push(id);
      calling ??= callAll();
    },
    async done() {
      await calling;
      check();
    },
  };
}
