/** Reads a channel's Stream in pages, and tells a hole from an end. */
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import {
  comparePositions,
  cursorBefore,
  isDirectlyAfter,
  type Position,
  parseCursor,
  StoredEntry,
} from "./event-log-entry.ts";
import { createLuaScript } from "./lua-script.ts";
import type { TenantKeys } from "./redis/keys.ts";

/**
 * Where reading goes on. `oldest`: with whatever is kept. `birth`: with the first entry ever, since the channel did not
 * exist when it was looked at. A position: with the entry directly after it.
 */
export type Place = "oldest" | "birth" | Position;

export interface ChannelPage<E> {
  /** Without a hole, and directly after the place that was asked for. Empty only at the channel's end. */
  entries: StoredEntry<E>[];
  /** Where the next page begins. */
  next: Place;
  /** Whether the channel held more when it was read. */
  hasMore: boolean;
}

export interface PageBack<E> {
  /** Newest first. Empty only where nothing older is kept. */
  entries: StoredEntry<E>[];
  hasMore: boolean;
}

export interface PageLimits {
  /** At least 1. */
  maxEntries: number;
  /** Of JSON, approximately: a page ends with the first handful of entries that passes it. */
  maxBytes: number;
}

export interface ChannelReader {
  /** Rejects with HISTORY_TRIMMED where the next entry is not there any more, or never was on this server. */
  read<E>(channel: string, place: Place, limits: PageLimits): Promise<ChannelPage<E>>;
  /** From before this position, or from the end, back to the oldest that is kept. */
  readBack<E>(channel: string, before: Position | undefined, limits: PageLimits): Promise<PageBack<E>>;
  /** The place after everything that is there now. */
  readEnd(channel: string): Promise<Place>;
  isEmpty(channel: string): Promise<boolean>;
  /** The entry at this very place, if it is kept. */
  readAt<E>(channel: string, position: Position): Promise<StoredEntry<E> | undefined>;
}

export function createChannelReader(redis: Redis, keys: TenantKeys): ChannelReader {
  return {
    async read<E>(channel: string, place: Place, limits: PageLimits) {
      const after = typeof place === "string" ? "" : `${place.epoch}-${place.number}`;
      return judge<E>(channel, place, await run(channel, [after, limits.maxEntries, limits.maxBytes]));
    },
    async readBack<E>(channel: string, before: Position | undefined, { maxEntries, maxBytes }: PageLimits) {
      const entries: StoredEntry<E>[] = [];
      let end = before ? `(${before.epoch}-${before.number}` : "+";
      let bytes = 0;
      while (entries.length < maxEntries && bytes < maxBytes) {
        const count = Math.min(stepEntries, maxEntries - entries.length);
        const some = await redis.xrevrange(keys.channel(channel), end, "-", "COUNT", count);
        for (const [id, fields] of some) {
          const json = fields[1] ?? "";
          entries.push(toEntry<E>(id, json));
          bytes += json.length;
          end = `(${id}`;
        }
        if (some.length < count) return { entries, hasMore: false };
      }
      return { entries, hasMore: (await redis.xrevrange(keys.channel(channel), end, "-", "COUNT", 1)).length > 0 };
    },
    async readEnd(channel) {
      const [, last] = await run(channel, ["", 0, 0]);
      return toPosition(last) ?? "birth";
    },
    isEmpty: async (channel) => (await redis.xlen(keys.channel(channel))) === 0,
    async readAt<E>(channel: string, { epoch, number }: Position) {
      const id = `${epoch}-${number}`;
      const [found] = await redis.xrange(keys.channel(channel), id, id);
      return found && toEntry<E>(found[0], found[1][1] ?? "");
    },
  };

  async function run(channel: string, args: (string | number)[]): Promise<ReadReply> {
    const reply = await readPage.run(redis, [keys.channel(channel), keys.epoch], args);
    return reply as ReadReply;
  }
}

/** Of a page that is read backwards, in one call of Redis. */
const stepEntries = 64;

type ReadReply = [epoch: string, last: string, oldest: string, isTrimmed: number, ...entries: string[]];

/**
 * KEYS: 1 channel, 2 epoch. ARGV: 1 id to read after, or empty; 2 most entries; 3 most bytes.
 * Returns epoch, last id ever given (empty if there is no such channel), oldest id kept (empty if none), whether
 * anything was ever removed; then id and JSON of each entry. Changes nothing.
 */
const readPage = createLuaScript(`
local epoch = string.match(redis.call('GET', KEYS[2]) or '', '^%d*')
if redis.call('EXISTS', KEYS[1]) == 0 then return { epoch, '', '', 0 } end

local info, facts = {}, redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #facts, 2 do info[facts[i]] = facts[i + 1] end
local oldest = info['first-entry'] and info['first-entry'][1] or ''
local is_trimmed = info['entries-added'] > info['length'] and 1 or 0
local reply = { epoch, info['last-generated-id'], oldest, is_trimmed }

local from, left, bytes = ARGV[1] == '' and '-' or '(' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
while left > 0 and bytes > 0 do
  local want = math.min(left, 16)
  local some = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', want)
  for _, entry in ipairs(some) do
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2][2]
    bytes = bytes - #entry[2][2]
    from = '(' .. entry[1]
  end
  left = left - want
  if #some < want then break end
end
return reply
`);

function judge<E>(channel: string, place: Place, reply: ReadReply): ChannelPage<E> {
  const [epoch, lastId, oldestId, isTrimmed, ...flat] = reply;
  const last = toPosition(lastId);
  const position = typeof place === "string" ? undefined : place;
  const gap = (reason: "trimmed" | "epoch_changed", next?: Position) =>
    historyTrimmed(channel, reason, next && cursorBefore(next));

  if (!last) {
    if (position) throw gap(String(position.epoch) === epoch ? "trimmed" : "epoch_changed");
    return { entries: [], next: place === "oldest" ? "birth" : place, hasMore: false };
  }
  const entries = toEntries<E>(flat);
  const first = entries[0]?.position;
  const next = first ?? { epoch: last.epoch, number: last.number + 1 };
  if (place === "birth" && isTrimmed) throw gap("trimmed", next);
  if (position && comparePositions(position, last) > 0) throw gap("epoch_changed", toPosition(oldestId) ?? next);
  if (position && !isDirectlyAfter(next, position)) {
    throw gap(next.epoch === position.epoch ? "trimmed" : "epoch_changed", next);
  }

  const hole = entries.findIndex((entry, i) => {
    const before = entries[i - 1];
    return before && !isDirectlyAfter(entry.position, before.position);
  });
  const whole = hole === -1 ? entries : entries.slice(0, hole);
  const end = whole.at(-1)?.position ?? last;
  return { entries: whole, next: end, hasMore: comparePositions(end, last) < 0 };
}

/** The error of everybody who cannot go on without a hole. `oldest` is the cursor after which one can. */
export function historyTrimmed(
  channel: string,
  reason: "trimmed" | "epoch_changed",
  oldest: string | undefined,
): KsiError {
  const why =
    reason === "trimmed"
      ? "Events after this cursor are no longer kept"
      : "The numbering of events started anew since this cursor was given";
  const advice = oldest === undefined ? "follow from the oldest event" : `follow after ${oldest}`;
  return new KsiError("HISTORY_TRIMMED", `${why} (${channel}). To go on with what there is, ${advice}.`, {
    details: { reason, ...(oldest !== undefined && { oldest }) },
  });
}

function toEntries<E>(flat: readonly string[]): StoredEntry<E>[] {
  const entries: StoredEntry<E>[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) entries.push(toEntry(flat[i] ?? "", flat[i + 1] ?? ""));
  return entries;
}

function toEntry<E>(id: string, json: string): StoredEntry<E> {
  return new StoredEntry<E>(id.replace("-", "."), json);
}

function toPosition(id: string): Position | undefined {
  return id === "" ? undefined : parseCursor(id.replace("-", "."));
}
