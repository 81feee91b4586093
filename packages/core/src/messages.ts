/** What agents and users send each other. */
import { randomUUID } from "node:crypto";
import type { AgentsPort, Follow, Message, MessagesPort, SendInput, Sent } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { didYouMean } from "@ksi/contract/near-names";
import { unknownAgent } from "./agent-not-found.ts";
import { type EventLog, newEvent } from "./event-log.ts";
import { fingerprint } from "./fingerprint.ts";
import { tapFollow } from "./follow-of-batches.ts";
import { createInboxFollows } from "./inbox-follow.ts";
import { startInboxLedger } from "./inbox-ledger.ts";
import { inboxTerms } from "./inbox-lua.ts";
import type { InboxContext } from "./inbox-script.ts";
import type { Logger } from "./logger.ts";
import { readHistory } from "./message-history.ts";
import { createReplies } from "./message-replies.ts";
import { createMessageSender, type Draft } from "./message-sender.ts";
import type { Messaging } from "./messaging.ts";
import type { Presence } from "./presence.ts";
import { channels } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { startSharedInboxes } from "./shared-inbox.ts";

export interface MessagesOptions {
  readonly store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant, as are the others. */
  readonly log: EventLog;
  readonly agents: Pick<AgentsPort, "list">;
  readonly presence: Presence;
  readonly messaging: Messaging;
  readonly logger: Logger;
  readonly tenant?: string | undefined;
}

export interface Messages extends AsyncDisposable {
  readonly port: MessagesPort;
  /** What the inbox's channel will not keep any more, which is what is older than the entry `first`, expires. */
  expireBefore(agentId: string, first: string): Promise<void>;
}

/** Capabilities that an error lists, and those among which it looks for near names: a batch may fail 500 times at once. */
const mostListed = 100;
const mostCompared = 1_000;

/**
 * A message is in all its places, under one id, or in none; the errors of `send` are said there. What was sent in one turn
 * of the event loop keeps its order. Sweeps what time has done to inboxes until it is disposed.
 */
export function startMessages(options: MessagesOptions): Messages {
  const { store, log, agents, presence, messaging, logger, tenant } = options;
  const keys = store.keys.tenant(tenant);
  const context: InboxContext = {
    redis: store.commands,
    keys,
    logTerms: log.terms,
    inboxTerms: inboxTerms(keys, messaging),
  };
  const sender = createMessageSender({ context, maxPerMinute: messaging.maxMessagesPerMinute });
  const onNoteFailed = createRepeatedWarning(logger, "Receipts of messages could not be written.");
  const follows = createInboxFollows({ log, context, onNoteFailed });
  const shared = startSharedInboxes({ log, context, logger });
  const ledger = startInboxLedger({ context, logger });
  const replies = createReplies({ store, keys, log });
  let listing: Promise<string[]> | undefined;

  const port: MessagesPort = {
    send: (input) => withNearNames(input.target, send(input)),

    async sendBatch({ messages }) {
      // Without near names: hundreds at once that are not registered are no slip of a hand, and each would read all names.
      const results = await Promise.all(messages.map((message) => send(message).catch(toRefused)));
      const isAway = results.every(
        (result) => result.status === "refused" && result.error.code === "STORE_UNAVAILABLE",
      );
      const [first] = results;
      if (isAway && first?.status === "refused") throw KsiError.from(first.error);
      return { results };
    },

    async request({ timeout_ms, ...input }, signal) {
      const { message, ...draft } = toDraft({ correlation_id: randomUUID(), ...input });
      await refuseLoops(message);
      const awaited = { by: message.reply_to ?? message.source, timeoutMs: timeout_ms };
      const { id } = await withNearNames(message.target, deliver({ ...draft, message, awaited }));
      return await replies.wait(
        { id, correlation_id: message.correlation_id ?? "", by: awaited.by },
        timeout_ms,
        signal,
      );
    },

    history: (input) => readHistory(log, input),

    async inbox({ agent_id, mode, prefetch, lastEventId, from }, signal) {
      if (mode === "shared") return present(agent_id, await shared.consume(agent_id, prefetch, signal), signal);
      if (from !== undefined) return await follows.look(agent_id, { lastEventId, from }, signal);
      return present(agent_id, await follows.consume(agent_id, lastEventId ?? undefined, signal), signal);
    },

    async ack({ agent_id, ids }) {
      return { status: "acked", acked: await ledger.ack(agent_id, ids) };
    },

    async nack({ agent_id, ids, delay_ms }) {
      return { status: "nacked", nacked: await ledger.nack(agent_id, ids, delay_ms) };
    },

    deadLetters: ({ agent_id, ...page }) => ledger.deadLetters(agent_id, page),

    async redrive({ agent_id, ids = [] }) {
      return { status: "redriven", redriven: await ledger.redrive(agent_id, ids) };
    },
  };

  return {
    port,
    expireBefore: ledger.expireBefore,
    async [Symbol.asyncDispose]() {
      await Promise.all([follows.settle(), shared[Symbol.asyncDispose](), ledger[Symbol.asyncDispose]()]);
    },
  };

  async function send({ idempotency_key, ...input }: SendInput): Promise<Sent> {
    const draft = toDraft(input);
    await refuseLoops(draft.message);
    const idempotency = idempotency_key === undefined ? undefined : { key: idempotency_key, hash: fingerprint(input) };
    return { status: "sent", ...(await deliver({ ...draft, idempotency })) };
  }

  async function deliver(draft: Draft) {
    try {
      return await sender.send(draft);
    } catch (thrown) {
      const error = KsiError.from(thrown);
      throw error.code === "NO_AGENT" ? await noAgent(draft.message.capability ?? []) : error;
    }
  }

  /** What it gives, or where the target is not registered, who may have been meant. */
  async function withNearNames<T>(target: string | undefined, sending: Promise<T>): Promise<T> {
    try {
      return await sending;
    } catch (thrown) {
      if (target === undefined || KsiError.from(thrown).code !== "NOT_FOUND") throw thrown;
      throw await unknownAgent(context, target);
    }
  }

  async function noAgent(wanted: readonly string[]): Promise<KsiError> {
    const all = await listCapabilities();
    const near = wanted.map((name) => didYouMean(name, all.slice(0, mostCompared))).join("");
    const capabilities = all.slice(0, mostListed);
    const more = all.length > capabilities.length ? ` and ${all.length - capabilities.length} more` : "";
    const others =
      all.length === 0 ? "No agent that is online can do anything." : `There is: ${capabilities.join(", ")}${more}.`;
    const message = `No agent that is online can do ${wanted.join(" or ")}.${near} ${others}`;
    return new KsiError("NO_AGENT", message, { details: { capabilities } });
  }

  /** Of those that are online. All that ask at one time share the answer: the records of 500 agents can be megabytes. */
  function listCapabilities(): Promise<string[]> {
    listing ??= agents
      .list({ status: "online", limit: 500 })
      .then(({ agents: online }) => [...new Set(online.flatMap((agent) => agent.capabilities))].sort())
      .finally(() => {
        listing = undefined;
      });
    return listing;
  }

  async function refuseLoops({ source, target, hops = 0 }: Message): Promise<void> {
    const limit = messaging.maxHops;
    if (hops <= limit) return;
    const payload = { reason: "hops" as const, limit };
    const event = newEvent({ event_type: "message.blocked", source, ...(target !== undefined && { target }), payload });
    logger.warn({ source, target, hops }, "A message has passed through too many hands.");
    await log.append({ event, channels: [channels.firehose] });
    const message = `This message has passed through ${hops} hands, and ${limit} are allowed: agents answer each other without end.`;
    throw new KsiError("LOOP_DETECTED", message);
  }

  /** The same follow; as long as it is iterated, the agent is online. */
  function present(agentId: string, follow: Follow<Message>, signal: AbortSignal | undefined): Follow<Message> {
    const openTap = () => {
      const connection = presence.connect(agentId);
      return { onEnd: () => connection.end() };
    };
    return tapFollow(follow, openTap, signal);
  }
}

function toRefused(thrown: unknown) {
  return { status: "refused" as const, error: KsiError.from(thrown).toJSON() };
}

function toDraft({ capability, ttl_ms, ...input }: Omit<SendInput, "idempotency_key">): Draft {
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const message = {
    id: randomUUID(),
    ...Object.fromEntries(given),
    ...(capability !== undefined && { capability: [...new Set([capability].flat())] }),
    timestamp: new Date().toISOString(),
  } as Message;
  return { message, ttlMs: ttl_ms };
}
