import { randomUUID } from "node:crypto";
import type { HistoryInput, Message, MessagesPage, MessagesPort, SendInput } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { agentNotFound } from "./agents.ts";
import type { EventLog } from "./event-log.ts";
import { eventLogLua } from "./event-log-lua.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

export interface MessagesOptions {
  store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  log: EventLog;
  tenant?: string | undefined;
}

/** Of the bus, that one call of `history` looks through for the messages of one agent, and how many it takes at once. */
const scannedMost = 5_000;
const scannedPage = 500;

/**
 * Messages between agents. A message is in all its channels, under one id, or in none. `send` to, and `inbox` of, an
 * agent that is not registered reject with NOT_FOUND; repeating a `send` sends a second message. A filtered `history`
 * looks through 5,000 messages at a time, so a page may be short, or empty, and still have a `next`.
 */
export function createMessages({ store, log, tenant }: MessagesOptions): MessagesPort {
  const { commands } = store;
  const keys = store.keys.tenant(tenant);
  const bus = keys.channel(channels.messageBus);
  const firehose = keys.channel(channels.firehose);

  return {
    async send(input) {
      const message = toMessage(input);
      const recipients = input.target === undefined ? await broadcast(message) : await sendTo(input.target, message);
      if (recipients === 0 && input.target !== undefined) throw agentNotFound(input.target);
      return { status: "sent", id: message.id, recipients };
    },

    async history({ after, limit, agent_id }) {
      if (agent_id !== undefined) return await searchHistory({ after, limit, agent_id });
      const { entries, ...page } = await log.page<Message>(channels.messageBus, { after, limit });
      return { messages: entries.map(({ event }) => event), ...page };
    },

    async inbox({ agent_id, lastEventId, from }, signal) {
      if (!(await commands.exists(keys.agent(agent_id)))) throw agentNotFound(agent_id);
      return await log.follow<Message>(channels.inbox(agent_id), {
        after: lastEventId,
        from: from ?? "oldest",
        signal,
      });
    },

    request: missing,
    ack: missing,
    deadLetters: missing,
    redrive: missing,
  };

  async function searchHistory({ after, limit, agent_id }: HistoryInput): Promise<MessagesPage> {
    const messages: Message[] = [];
    let next = after;
    for (let scanned = 0; scanned < scannedMost; scanned += scannedPage) {
      const page = await log.page<Message>(channels.messageBus, { after: next, limit: scannedPage }).catch((thrown) => {
        // What was found before a hole is answered first; the next call starts at the hole, and meets it.
        if (scanned > 0 && KsiError.from(thrown).code === "HISTORY_TRIMMED") return undefined;
        throw thrown;
      });
      if (!page) break;
      for (const { cursor, event } of page.entries) {
        if (messages.length === limit) return { messages, ...(next !== undefined && { next }) };
        next = cursor;
        if (event.source === agent_id || event.target === agent_id) messages.push(event);
      }
      if (page.next === undefined) return { messages };
    }
    return { messages, ...(next !== undefined && { next }) };
  }

  async function sendTo(target: string, message: Message): Promise<number> {
    const names = [keys.agent(target), keys.epoch, keys.channel(channels.inbox(target)), bus, firehose];
    const args = [log.terms, JSON.stringify(message)];
    return (await sendDirect.run(commands, names, args)) as number;
  }

  async function broadcast(message: Message): Promise<number> {
    const names = [keys.agents, keys.epoch, keys.channel(channels.agentsBroadcast), bus, firehose];
    // An agent's id has no asterisk.
    const [beforeId = "", afterId = ""] = keys.channel(channels.inbox("*")).split("*");
    const args = [log.terms, JSON.stringify(message), message.source, beforeId, afterId];
    return (await sendToAll.run(commands, names, args)) as number;
  }
}

/**
 * KEYS: 1 the target's record, 2 epoch, 3 inbox, 4 message bus, 5 firehose. ARGV: 1 terms, 2 message.
 * Returns 1, or 0 when there is no such agent. Events: the message.
 */
const sendDirect = createLuaScript(`${eventLogLua}
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local log = ksi_open_log(KEYS[2], ARGV[1])
ksi_append(log, ARGV[2], { KEYS[3], KEYS[4], KEYS[5] })
ksi_publish(log)
return 1
`);

/**
 * KEYS: 1 index of agents, 2 epoch, 3 agents:broadcast, 4 message bus, 5 firehose. The inboxes cannot be named before
 * the index is read; they share the slot. ARGV: 1 terms, 2 message, 3 its source, 4 and 5 what an inbox's key has
 * before and after the agent's id. Returns the number of inboxes. Events: the message.
 */
const sendToAll = createLuaScript(`${eventLogLua}
local to = { KEYS[3], KEYS[4], KEYS[5] }
local others = #to
for _, agent_id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if agent_id ~= ARGV[3] then to[#to + 1] = ARGV[4] .. agent_id .. ARGV[5] end
end
local log = ksi_open_log(KEYS[2], ARGV[1])
ksi_append(log, ARGV[2], to)
ksi_publish(log)
return #to - others
`);

function toMessage({ source, target, event_type, payload }: SendInput): Message {
  return {
    id: randomUUID(),
    source,
    ...(target !== undefined && { target }),
    event_type,
    timestamp: new Date().toISOString(),
    payload,
  };
}

async function missing(): Promise<never> {
  throw new KsiError("INTERNAL", "This is not there yet.");
}
