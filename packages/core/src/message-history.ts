/** The message bus, paged with filters. */
import type { HistoryInput, Message, MessagesPage } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { EventLog } from "./event-log.ts";
import { channels } from "./redis/keys.ts";

/** Of the bus, that one call looks through for what it was asked for, and how many it takes at once. */
const scannedMost = 5_000;
const scannedPage = 500;

/** With a filter it looks through 5,000 messages, so a page may be short, or empty, and still have a `next`. */
export async function readHistory(log: EventLog, input: HistoryInput): Promise<MessagesPage> {
  const { after, limit, newest_first: isNewestFirst } = input;
  const isWanted = createFilter(input);
  if (!isWanted) {
    const { entries, ...page } = await log.page<Message>(channels.messageBus, { after, limit, isNewestFirst });
    return { messages: entries.map(({ event }) => event), ...page };
  }

  const messages: Message[] = [];
  let next = after;
  for (let scanned = 0; scanned < scannedMost; scanned += scannedPage) {
    const options = { after: next, limit: scannedPage, isNewestFirst };
    const page = await log.page<Message>(channels.messageBus, options).catch((thrown) => {
      // What was found before a hole is answered first; the next call starts at the hole, and meets it.
      if (scanned > 0 && KsiError.from(thrown).code === "HISTORY_TRIMMED") return undefined;
      throw thrown;
    });
    if (!page) break;
    for (const { cursor, event } of page.entries) {
      if (messages.length === limit) return { messages, ...(next !== undefined && { next }) };
      next = cursor;
      if (isWanted(event)) messages.push(event);
    }
    if (page.next === undefined) return { messages };
  }
  return { messages, ...(next !== undefined && { next }) };
}

/** Undefined where everything is wanted. */
function createFilter(input: HistoryInput): ((message: Message) => boolean) | undefined {
  const { agent_id, source, target, event_type, correlation_id } = input;
  const conditions: ((message: Message) => boolean)[] = [];
  if (agent_id !== undefined) conditions.push((m) => m.source === agent_id || m.target === agent_id);
  if (source !== undefined) conditions.push((m) => m.source === source);
  if (target !== undefined) conditions.push((m) => m.target === target);
  if (correlation_id !== undefined) conditions.push((m) => m.correlation_id === correlation_id);
  if (event_type?.endsWith("*")) conditions.push((m) => m.event_type.startsWith(event_type.slice(0, -1)));
  else if (event_type !== undefined) conditions.push((m) => m.event_type === event_type);
  if (conditions.length === 0) return undefined;
  return (message) => conditions.every((holds) => holds(message));
}
