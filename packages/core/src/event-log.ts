/**
 * The durable log: channels of events that are appended, numbered and pushed in one atomic step, and can be followed
 * and paged from any cursor. What lives here is one hub and one bound on waiting events for the whole process, and one
 * EventLog a tenant.
 */
import { randomUUID } from "node:crypto";
import type { Entry, Follow, KsiEvent } from "@ksi/contract";
import type { KsiError } from "@ksi/contract/errors";
import { type ChannelHub, createChannelHub, type Membership } from "./channel-hub.ts";
import { type Append, type AppendBudget, type Appender, createAppender } from "./event-log-appender.ts";
import { type Position, parseCursor, type StoredEntry } from "./event-log-entry.ts";
import { createEndedFollow, createFollow } from "./event-log-follow.ts";
import { logTerms } from "./event-log-lua.ts";
import { createChannelReader, type PageLimits } from "./event-log-reader.ts";
import { shareReads } from "./event-log-shared-reader.ts";
import type { Store } from "./redis/store.ts";

export interface EventLog {
  /** For scripts that append with `eventLogLua`. */
  readonly terms: string;
  /**
   * Stored, in the order of the calls, once it resolves. Rejects with CONFLICT when the guard refused it (this append
   * alone), and with STORE_UNAVAILABLE when Redis has been away for 5 s (it may or may not have been stored) or when
   * more events wait than the process may hold: then none of the given ones is taken. Appends of one turn of the event
   * loop become one call of Redis.
   */
  append(...appends: readonly Append[]): Promise<void>;
  /**
   * Resolves when the starting point is fixed: what is appended from then on will be delivered, however long the
   * iteration takes to begin. Holds nothing open until then. Rejects, and later throws, with HISTORY_TRIMMED where it
   * cannot go on without a hole; its details say the `reason`, and the `oldest` cursor that can be followed from, if
   * anything is there. STORE_UNAVAILABLE when Redis is away, SHUTTING_DOWN when the log is closed: in both cases one
   * can follow again after the last cursor.
   */
  follow<E>(channel: string, options?: FollowOptions<E>): Promise<Follow<E>>;
  /**
   * Calls `onChange` when something was published to one of the keys (in full), or may have been. `onLost` says that Redis
   * has been away for too long, or the log was closed: nothing is told after it. Hears what is published once `joined`.
   */
  watch(keys: readonly string[], onChange: () => void, onLost: (reason: KsiError) => void): Membership;
  /** Whether nothing is kept of it: nothing was ever appended, or all was trimmed. */
  isEmpty(channel: string): Promise<boolean>;
  /** Oldest first unless told otherwise, `limit` at most and 4 MB. HISTORY_TRIMMED as in `follow`, if oldest first. */
  page<E>(channel: string, options: LogPageOptions): Promise<LogPage<E>>;
}

export interface FollowOptions<E> {
  /** Starts directly after this cursor, and `from` does not matter. */
  after?: string | null | undefined;
  /** Default `oldest`: all that is kept. */
  from?: "oldest" | "now" | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
  /** Others are passed over. */
  accept?: ((entry: Entry<E>) => boolean) | undefined;
  /** The follow ends after this one, or at once when `after` is its cursor. */
  isLast?: ((event: E) => boolean) | undefined;
}

export interface LogPageOptions {
  after?: string | null | undefined;
  limit: number;
  /** From the newest on backwards; a page then comes after the one before it, back to what is not kept any more. */
  isNewestFirst?: boolean | undefined;
}

export interface LogPage<E> {
  entries: StoredEntry<E>[];
  /** The `after` of the next page; absent when this one reached the end. */
  next?: string;
}

export interface EventLogs extends AsyncDisposable {
  /** `default` until there are more. */
  tenant(name?: string): EventLog;
  /** Resolves when everything published before the call has been handed to its followers. Rejects when Redis is away. */
  settle(): Promise<void>;
  /** Stores what was appended, then ends every follow with SHUTTING_DOWN. Safe to repeat. */
  close(): Promise<void>;
}

export interface EventLogsOptions {
  store: Pick<Store, "commands" | "connect" | "keys" | "mayLoseTail">;
  /** Cap of each channel's length, which Redis may pass by some hundred. */
  maxEvents: number;
  /** What may wait to be stored in this process. Default 10,000 events and 32 MB. */
  maxWaiting?: AppendBudget | undefined;
  /**
   * For how long an append is repeated while Redis is away. Default 5,000. `Infinity` until the log is closed: for who
   * would append the same again, and have it there twice where the first call arrived after all.
   */
  retryMs?: number | undefined;
  /** Ends the repeating at once. */
  signal?: AbortSignal | undefined;
}

const defaultMaxWaiting: AppendBudget = { events: 10_000, bytes: 33_554_432 };
const pageMaxBytes = 4_194_304;
const oneEntry: PageLimits = { maxEntries: 1, maxBytes: 1 };
/** Stands for a cursor that cannot be read: later than anything, so that it is refused like any other of elsewhere. */
const nowhere: Position = { epoch: Number.MAX_SAFE_INTEGER, number: Number.MAX_SAFE_INTEGER };

/** Connects for subscriptions with the first follow; all else goes over `store.commands`. */
export function startEventLogs(options: EventLogsOptions): EventLogs {
  const { store, retryMs, signal } = options;
  const terms = logTerms({ ...options, ...store });
  const budget = { ...(options.maxWaiting ?? defaultMaxWaiting) };
  const hub = createChannelHub({ connect: () => store.connect("follow", "subscriber") });
  const tenants = new Map<string, { log: EventLog; appender: Appender }>();

  const close = async () => {
    await Promise.all([...tenants.values()].map(({ appender }) => appender.close()));
    hub.close();
  };
  return {
    tenant(name = "default") {
      const known = tenants.get(name);
      if (known) return known.log;
      const keys = store.keys.tenant(name);
      const appender = createAppender({ redis: store.commands, keys, terms, budget, retryMs, signal });
      const log = createEventLog({ store, tenant: name, hub, appender, terms });
      tenants.set(name, { log, appender });
      return log;
    },
    settle: () => hub.settle(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface EventLogParts {
  store: Pick<Store, "commands" | "keys">;
  tenant: string;
  hub: ChannelHub;
  appender: Appender;
  terms: string;
}

function createEventLog({ store, tenant, hub, appender, terms }: EventLogParts): EventLog {
  const keys = store.keys.tenant(tenant);
  const reader = createChannelReader(store.commands, keys);
  const sharedReader = shareReads(reader);
  return {
    terms,
    append: (...appends) => appender.append(...appends),
    async follow<E>(channel: string, { after, from = "oldest", ...rest }: FollowOptions<E> = {}) {
      const follower = { ...rest, channel, key: keys.channel(channel), hub, reader: sharedReader };
      if (typeof after !== "string") {
        return createFollow({ ...follower, place: from === "oldest" ? from : await reader.readEnd(channel) });
      }
      const place = parseCursor(after) ?? nowhere;
      const last = rest.isLast && (await reader.readAt<E>(channel, place));
      if (last && rest.isLast?.(last.event)) return createEndedFollow<E>(channel);
      await reader.read(channel, place, oneEntry);
      return createFollow({ ...follower, place });
    },
    watch(watched, onChange, onLost) {
      const member = { onEntries: onChange, onRestored: onChange, onDismissed: onLost };
      const memberships = watched.map((key) => hub.join(key, member));
      return {
        joined: Promise.all(memberships.map(({ joined }) => joined)).then(() => undefined),
        leave: () => {
          for (const { leave } of memberships) leave();
        },
      };
    },
    isEmpty: (channel) => reader.isEmpty(channel),
    async page<E>(channel: string, { after, limit, isNewestFirst = false }: LogPageOptions) {
      const place = typeof after === "string" ? (parseCursor(after) ?? nowhere) : undefined;
      const limits = { maxEntries: limit, maxBytes: pageMaxBytes };
      const { entries, hasMore } = isNewestFirst
        ? await reader.readBack<E>(channel, place, limits)
        : await reader.read<E>(channel, place ?? "oldest", limits);
      const next = hasMore ? entries.at(-1)?.cursor : undefined;
      return { entries, ...(next !== undefined && { next }) };
    },
  };
}

/** What an event still lacks: its id and time. */
type Draft<E> = E extends unknown ? Omit<E, "id" | "timestamp"> : never;

/** Makes it an event: with an id of its own, and now as its time. */
export function newEvent<D extends Draft<KsiEvent>>(draft: D): D & { id: string; timestamp: string } {
  return { id: randomUUID(), timestamp: new Date().toISOString(), ...draft };
}
