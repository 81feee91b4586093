/**
 * An inbox as one consumer of it gets it, where each gets everything: first what nobody has acknowledged, in the order
 * sent, then what comes. It is the log that is followed; the ledger says what of its past is still to be delivered, and is
 * told what was.
 */
import type { Entry, Follow, Message } from "@ksi/contract";
import { mustBeRegistered, unknownAgent } from "./agent-not-found.ts";
import { createCoalescer } from "./coalesce.ts";
import type { EventLog } from "./event-log.ts";
import { comparePositions, cursorBefore, type Position, parseCursor } from "./event-log-entry.ts";
import { tapFollow } from "./follow-of-batches.ts";
import { followOverEpochs } from "./follow-over-epochs.ts";
import type { InboxContext } from "./inbox-script.ts";
import { noteDeliveredScript, openInboxScript } from "./inbox-scripts.ts";
import { channels } from "./redis/keys.ts";

export interface InboxFollowOptions {
  readonly log: EventLog;
  readonly context: InboxContext;
  /** What could not be noted is delivered and told as delivered later, or never. */
  readonly onNoteFailed: (error: unknown) => void;
}

export interface FollowFrom {
  readonly lastEventId?: string | null | undefined;
  readonly from?: "oldest" | "now" | undefined;
}

export interface InboxFollows {
  /** As a consumer. `NOT_FOUND`, and `HISTORY_TRIMMED` where what followed the cursor is not kept. */
  consume(agentId: string, after: string | undefined, signal: AbortSignal | undefined): Promise<Follow<Message>>;
  /** Notes what was handed out and is not noted yet. */
  settle(): Promise<void>;
  /** Only looks. */
  look(agentId: string, from: FollowFrom, signal: AbortSignal | undefined): Promise<Follow<Message>>;
}

/** Of one call, and those that may wait for one: beyond it receipts are lost, which is said in the log. */
const noteMaxBatches = 500;
const noteMaxMessages = 1_000;
const noteMaxWaiting = 20_000;
/**
 * A note waits for so long: what is acknowledged by then needs none, and every call of Redis that writes is one more wait
 * for the disk.
 */
const noteDelayMs = 10;

export function createInboxFollows({ log, context, onNoteFailed }: InboxFollowOptions): InboxFollows {
  const notes = createCoalescer<Note, undefined>({
    call: (all) => storeNotes(all),
    maxItems: noteMaxBatches,
    maxBytes: noteMaxMessages,
    bytesOf: ({ messages }) => messages.length,
    maxWaiting: noteMaxWaiting,
  });

  let handedOut: Note[] = [];
  let timer: NodeJS.Timeout | undefined;

  async function noteAll(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const all = handedOut;
    handedOut = [];
    await Promise.all(all.map((note) => notes.add(note).catch(onNoteFailed)));
  }

  return {
    settle: noteAll,
    async consume(agentId, after, signal) {
      const channel = channels.inbox(agentId);
      if (after !== undefined) {
        await mustBeRegistered(context, agentId);
        const isAlive = await createAlive();
        const follow = await log.follow<Message>(channel, { after, signal, accept: isAlive });
        return noting(follow, { agentId, isRepeat: () => false, signal });
      }
      const pending = await open(agentId);
      const past = createPast(pending, await createAlive());
      const follow = await followOverEpochs({
        open: (after) => log.follow<Message>(channel, { after, signal, accept: past.accept }),
        start: pending.start,
        isPast: past.isPast,
      });
      return noting(follow, { agentId, isRepeat: (id) => id === pending.first, signal });
    },
    async look(agentId, { lastEventId, from }, signal) {
      await mustBeRegistered(context, agentId);
      return await log.follow<Message>(channels.inbox(agentId), { after: lastEventId, from, signal });
    },
  };

  async function open(agentId: string): Promise<Pending> {
    const reply = (await openInboxScript(context, { agent_id: agentId })) as string[] | null;
    if (!reply) throw await unknownAgent(context, agentId);
    return readPending(reply);
  }

  /**
   * Whether a message has not expired, which it does by the clock of Redis. Nearly none says when it expires, and none needs
   * to be parsed to see that.
   */
  async function createAlive(): Promise<Accept> {
    const [seconds, microseconds] = await context.redis.time();
    const aheadMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000 - Date.now();
    return (entry) => {
      if (!entry.json.includes('"expires_at"')) return true;
      const { expires_at } = entry.event;
      return expires_at === undefined || Date.parse(expires_at) > Date.now() + aheadMs;
    };
  }

  /** The same follow, which notes what it gives out. */
  function noting(follow: Follow<Message>, { agentId, isRepeat, signal }: Noting): Follow<Message> {
    const onBatch = (entries: readonly Entry<Message>[]) => {
      const messages = entries.map(({ event: { id } }) => ({ id, isRepeat: isRepeat(id) }));
      handedOut.push({ agentId, messages });
      timer ??= setTimeout(() => void noteAll(), noteDelayMs);
    };
    return tapFollow(follow, () => ({ onBatch }), signal);
  }

  /** One script call, in which each message of an inbox is once. */
  async function storeNotes(all: readonly Note[]): Promise<undefined[]> {
    const noted = new Map<string, string[]>();
    for (const { agentId, messages } of all) {
      for (const { id, isRepeat } of messages) {
        const key = `${agentId} ${id}`;
        const wasRepeat = noted.get(key)?.at(-1) === "1";
        noted.set(key, [agentId, id, isRepeat || wasRepeat ? "1" : "0"]);
      }
    }
    await noteDeliveredScript(context, {}, [...noted.values()].flat());
    return [];
  }
}

/** What a consumer was handed together. */
interface Note {
  readonly agentId: string;
  readonly messages: readonly { readonly id: string; readonly isRepeat: boolean }[];
}

interface Noting {
  readonly agentId: string;
  readonly isRepeat: (messageId: string) => boolean;
  readonly signal: AbortSignal | undefined;
}

/** What an inbox had to deliver when it was opened. */
interface Pending {
  /** The cursor of each message, by id. */
  readonly entries: ReadonlyMap<string, string>;
  /** The oldest of them. Whatever ended the consumer before, the others had perhaps not been begun. */
  readonly first: string | undefined;
  /** The cursor after which to begin; undefined where the channel does not exist yet. */
  readonly start: string | undefined;
  /** The last place of the channel then. */
  readonly end: Position;
}

const nothing: Position = { epoch: 0, number: 0 };

function readPending([last = "", ...flat]: readonly string[]): Pending {
  const entries = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) entries.set(flat[i] ?? "", toCursor(flat[i + 1] ?? ""));
  let first: { id: string; position: Position } | undefined;
  for (const [id, cursor] of entries) {
    const position = parseCursor(cursor) ?? nothing;
    if (!first || comparePositions(position, first.position) < 0) first = { id, position };
  }
  const end = last === "" ? undefined : toCursor(last);
  return {
    entries,
    first: first?.id,
    start: first ? cursorBefore(first.position) : end,
    end: end === undefined ? nothing : (parseCursor(end) ?? nothing),
  };
}

function toCursor(id: string): string {
  return id.replace("-", ".");
}

type Accept = (entry: Entry<Message>) => boolean;

interface Past {
  /** Of the past what was pending, of the rest what has not expired. */
  readonly accept: Accept;
  /** Whether nothing else was seen yet. */
  readonly isPast: () => boolean;
}

function createPast({ entries, end }: Pending, isAlive: Accept): Past {
  let isPast = true;
  return {
    isPast: () => isPast,
    accept(entry) {
      const position = parseCursor(entry.cursor);
      const isOld = position !== undefined && comparePositions(position, end) <= 0;
      if (isOld && entries.get(entry.event.id) !== entry.cursor) return false;
      isPast &&= isOld;
      return isAlive(entry);
    },
  };
}
