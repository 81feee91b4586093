/**
 * Puts messages where they belong: into inboxes, onto the message bus and the firehose, in one step each, or nowhere. What
 * is sent in one turn of the event loop is one script call, in its order.
 */
import { limits, type Message } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { agentNotFound } from "./agent-not-found.ts";
import { createCoalescer } from "./coalesce.ts";
import type { InboxContext } from "./inbox-script.ts";
import { sendScript } from "./message-send-script.ts";
import { channels } from "./redis/keys.ts";

/** A message on its way; `target` is not known yet where it goes to a capability. */
export interface Draft {
  readonly message: Message;
  /** Until it expires, by the clock of Redis. */
  readonly ttlMs?: number | undefined;
  readonly idempotency?: { readonly key: string; readonly hash: string } | undefined;
  /** For a request: who waits for the answer, and how long. */
  readonly awaited?: { readonly by: string; readonly timeoutMs: number } | undefined;
}

export interface Delivery {
  /** Of the first message where the idempotency key was known. */
  readonly id: string;
  readonly target?: string | undefined;
  readonly recipients: number;
}

export interface MessageSender {
  /**
   * `NOT_FOUND` (without near names), `NO_AGENT` (without details), `INBOX_FULL`, `RATE_LIMITED`, `PAYLOAD_TOO_LARGE`,
   * `CONFLICT`: nothing was written then.
   */
  send(draft: Draft): Promise<Delivery>;
}

export interface MessageSenderOptions {
  readonly context: InboxContext;
  /** Messages that two agents may send each other within a minute; 0 for any number. */
  readonly maxPerMinute: number;
}

const callMaxMessages = 200;
const callMaxBytes = 1_048_576;
const maxWaiting = 10_000;

export function createMessageSender({ context, maxPerMinute }: MessageSenderOptions): MessageSender {
  const { keys } = context;
  const common = {
    bus: keys.channel(channels.messageBus),
    agents_broadcast: keys.channel(channels.agentsBroadcast),
    max_per_minute: maxPerMinute,
  };

  const { add } = createCoalescer<Encoded, Delivery>({
    call: sendAll,
    maxItems: callMaxMessages,
    maxBytes: callMaxBytes,
    bytesOf: ({ args }) => args[1]?.length ?? 0,
    maxWaiting,
  });

  return { send: (draft) => add({ draft, args: encode(draft) }) };

  /** In as many script calls as it takes: one carries out only so much. What was sent stays sent when a later one fails. */
  async function sendAll(drafts: readonly Encoded[]): Promise<(Delivery | KsiError)[]> {
    const answers: (Delivery | KsiError)[] = [];
    while (answers.length < drafts.length) {
      const rest = drafts.slice(answers.length);
      try {
        const args = rest.flatMap((draft) => draft.args);
        const some = (await sendScript(context, common, args)) as string[][];
        answers.push(...some.map((answer, i) => toDelivery(answer, rest[i]?.draft)));
      } catch (thrown) {
        const error = KsiError.from(thrown);
        return [...answers, ...rest.map(() => error)];
      }
    }
    return answers;
  }

  function encode({ message, ttlMs, idempotency, awaited }: Draft): string[] {
    const { id, source, target, capability, correlation_id, ...rest } = message;
    const way = target !== undefined ? "direct" : capability !== undefined ? "capability" : "broadcast";
    const tail = {
      ...(capability && { capability }),
      ...(correlation_id !== undefined && { correlation_id }),
      ...rest,
    };
    return [
      `{"id":"${id}","source":"${source}"`,
      `,${JSON.stringify(tail).slice(1)}`,
      id,
      source,
      way,
      target ?? capability?.join("\n") ?? "",
      String(ttlMs ?? ""),
      correlation_id ?? "",
      correlation_id === undefined ? "" : JSON.stringify(correlation_id),
      idempotency ? keys.sentMessage(idempotency.key) : "",
      idempotency?.hash ?? "",
      awaited?.by ?? "",
      String(awaited?.timeoutMs ?? 0),
    ];
  }
}

interface Encoded {
  readonly draft: Draft;
  readonly args: readonly string[];
}

function toDelivery([outcome, ...facts]: readonly string[], draft: Draft | undefined): Delivery | KsiError {
  const { target } = draft?.message ?? {};
  switch (outcome) {
    case "sent": {
      const [id = "", to = "", recipients] = facts;
      return { id, recipients: Number(recipients), ...(to !== "" && { target: to }) };
    }
    case "no target":
      return agentNotFound(target ?? "");
    case "no agent":
      return new KsiError("NO_AGENT", "No agent that is online can do this.");
    case "full":
      return new KsiError("INBOX_FULL", `The inbox of ${facts[0]} is full: it has to acknowledge messages first.`, {
        details: { retry_after_ms: 1_000 },
      });
    case "too many":
      return new KsiError(
        "RATE_LIMITED",
        `${draft?.message.source} and ${facts[0]} send each other too many messages. If they are not answering each other ` +
          "without end, raise messages_per_minute.",
        { details: { retry_after_ms: Number(facts[1]) } },
      );
    case "too large":
      return new KsiError(
        "PAYLOAD_TOO_LARGE",
        `Each of ${facts[0]} agents would get a copy of this broadcast, and all copies together may have ` +
          `${limits.broadcastBytes} bytes. Put the payload into the shared state, and send its key.`,
      );
    case "awaited":
      return new KsiError("CONFLICT", "A request with this correlation_id is waiting for its answer. Choose another.");
    default:
      return new KsiError("CONFLICT", "This idempotency_key was used for another message. Choose a new one.");
  }
}
