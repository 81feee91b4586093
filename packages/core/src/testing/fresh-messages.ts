import type { AgentsPort, Entry, InboxInput, KsiEvent, Message, MessagesPort, SendInput } from "@ksi/contract";
import { createAgents } from "../agents.ts";
import { type Messages, startMessages } from "../messages.ts";
import { defaultMessaging, type Messaging } from "../messaging.ts";
import { channels } from "../redis/keys.ts";
import type { Store } from "../redis/store.ts";
import { type FreshLog, type FreshLogOptions, startFreshLog } from "./fresh-log.ts";
import { silentLogger } from "./fresh-redis.ts";

export interface FreshMessages extends AsyncDisposable {
  readonly fresh: FreshLog;
  readonly agents: AgentsPort;
  readonly port: MessagesPort;
  readonly messages: Messages;
  /** Ids of agents whose inboxes are being consumed, once for each consumer. */
  readonly connected: readonly string[];
  /** To bob, by default. */
  send(payload: number, more?: Partial<SendInput>): Promise<string>;
  inbox(input?: Partial<InboxInput>, signal?: AbortSignal): Promise<AsyncIterableIterator<Entry<Message>>>;
  /** What the firehose has of these types, in order. */
  told(...types: string[]): Promise<KsiEvent[]>;
}

export interface FreshMessagesOptions extends FreshLogOptions {
  messaging?: Partial<Messaging>;
  agents?: readonly string[];
}

/** Messages of a new tenant, with agents registered; or one more process's of a tenant. */
export async function startFreshMessages(store: Store, options: FreshMessagesOptions = {}): Promise<FreshMessages> {
  const { messaging, agents: agentIds = ["bob"], ...logOptions } = options;
  const fresh = startFreshLog(store, logOptions);
  const { log, tenant } = fresh;
  const agents = createAgents({ store, log, tenant });
  for (const agent_id of agentIds) await agents.register({ agent_id });
  const connected: string[] = [];
  const presence = {
    connect(agentId: string) {
      connected.push(agentId);
      return { end: () => void connected.splice(connected.indexOf(agentId), 1) };
    },
  };
  const messages = startMessages({
    store,
    log,
    agents,
    presence,
    messaging: { ...defaultMessaging, ...messaging },
    logger: silentLogger,
    tenant,
  });
  return {
    fresh,
    agents,
    port: messages.port,
    messages,
    connected,
    async send(payload, more) {
      const sent = await messages.port.send({ source: "alice", target: "bob", event_type: "x.n", payload, ...more });
      return sent.id;
    },
    async inbox(input, signal) {
      const follow = await messages.port.inbox({ agent_id: "bob", mode: "each", prefetch: 100, ...input }, signal);
      return follow[Symbol.asyncIterator]() as AsyncIterableIterator<Entry<Message>>;
    },
    async told(...types) {
      const { entries } = await log.page<KsiEvent>(channels.firehose, { limit: 10_000 });
      return entries.map(({ event }) => event).filter(({ event_type }) => types.includes(event_type));
    },
    async [Symbol.asyncDispose]() {
      await messages[Symbol.asyncDispose]();
      await fresh[Symbol.asyncDispose]();
    },
  };
}
