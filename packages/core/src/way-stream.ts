/**
 * A stream through which producers that speak only Redis make calls, as the servers read it: each entry goes to one of
 * them, and to another one if that one dies.
 *
 * An entry is *waiting* until a server reads it, *taken* while one works on it (and says so every now and then), and
 * *abandoned* when nobody has said so for `abandonedMs`: then any server may take it over. It leaves by `done` or by
 * `refuse`, or is put back. All servers are one consumer of one group: who has an entry does not matter, since what it
 * asks for can be repeated (ways-in.ts), and so no names of dead servers are left behind.
 *
 * Redis counts deliveries. Here that is 0 where an entry is known to have had no effect.
 */
import type { WireError } from "@ksi/contract";
import { createLuaScript } from "./lua-script.ts";
import type { Store } from "./redis/store.ts";
import { toStoreError } from "./redis/store-error.ts";

export interface WayEntry {
  readonly id: string;
  /** Name, value, name, value, … */
  readonly flat: readonly string[];
  /** No server can have carried it out. */
  readonly isUntouched: boolean;
  /** For how long no server has worked on it; 0 for one that nobody had. */
  readonly abandonedMs: number;
}

export interface WayStream {
  /** Makes the stream and its group where they are not there. What was appended before counts as waiting. */
  open(): Promise<void>;
  /** Up to `wayBatch` that were waiting; none when there were none for two seconds. Rejects when the stream is gone. */
  read(): Promise<WayEntry[]>;
  /** Up to `wayBatch` that were abandoned. The next call looks at those behind them. */
  takeOver(): Promise<WayEntry[]>;
  /** They are still being worked on. */
  keep(entries: readonly WayEntry[]): Promise<void>;
  /** Nobody works on these: they are abandoned, at once or in `abandonedMs`. */
  putBack(entries: readonly WayEntry[], when: "now" | "later"): Promise<void>;
  /** Removes them. Safe to repeat. */
  done(entries: readonly WayEntry[]): Promise<void>;
  /** Moves it to the refused ones; nothing happens where another server was done with it. Safe to repeat. */
  refuse(id: string, data: string, error: WireError): Promise<void>;
}

export interface WayStreamOptions {
  readonly redis: Store["commands"];
  /** For the one call that waits, and nothing else. */
  readonly reader: Store["commands"];
  /** Its key, and that of the refused ones. */
  readonly key: string;
  readonly refusedKey: string;
  /** Default 5,000. */
  readonly abandonedMs?: number | undefined;
}

/** Entries of one way that a process has in hand at one time. @internal for tests */
export const wayBatch = 32;

/** Of one group, and its one consumer. */
const group = "ksi";
const consumer = "servers";
/** Below the time limit of a call. */
const waitMs = 2_000;
/** Characters of a refused entry that are kept, and how many of them. */
const refusedChars = 8_192;
const refusedMost = 10_000;

type Reply = [id: string, flat: string[]][];

export function createWayStream(options: WayStreamOptions): WayStream {
  const { key, refusedKey, redis, reader, abandonedMs = 5_000 } = options;
  /** Before the next to be taken over. */
  let place = "-";

  return {
    async open() {
      try {
        await redis.xgroup("CREATE", key, group, "0", "MKSTREAM");
      } catch (thrown) {
        if (!(thrown instanceof Error && thrown.message.startsWith("BUSYGROUP"))) throw toStoreError(thrown);
      }
    },

    async read() {
      const args = ["GROUP", group, consumer, "COUNT", wayBatch, "BLOCK", waitMs, "STREAMS", key, ">"] as const;
      const replies = (await reader.xreadgroup(...args)) as [key: string, entries: Reply][] | null;
      const entries = replies?.[0]?.[1] ?? [];
      return entries.map(([id, flat]) => ({ id, flat, isUntouched: true, abandonedMs: 0 }));
    },

    async takeOver() {
      const args = [key, group, "IDLE", abandonedMs, place, "+", wayBatch, consumer] as const;
      const pending = (await redis.xpending(...args)) as [id: string, consumer: string, idle: number, count: number][];
      const last = pending.at(-1);
      place = last && pending.length === wayBatch ? `(${last[0]}` : "-";
      if (!last) return [];
      const ids = pending.map(([id]) => id);
      // Of two servers that look at the same time the second finds them taken.
      const claimed = (await redis.xclaim(key, group, consumer, abandonedMs, ...ids)) as Reply;
      const before = new Map(pending.map(([id, , idle, count]) => [id, { idle, count }]));
      return claimed.map(([id, flat]) => {
        const { idle = 0, count = 1 } = before.get(id) ?? {};
        return { id, flat, isUntouched: count === 0, abandonedMs: idle };
      });
    },

    async keep(entries) {
      if (entries.length > 0) await redis.xclaim(key, group, consumer, 0, ...idsOf(entries), "JUSTID");
    },

    async putBack(entries, when) {
      const idle = when === "now" ? abandonedMs : 0;
      const untouched = idsOf(entries.filter(({ isUntouched }) => isUntouched));
      const others = idsOf(entries.filter(({ isUntouched }) => !isUntouched));
      const claim = [key, group, consumer, 0] as const;
      if (untouched.length > 0) await redis.xclaim(...claim, ...untouched, "IDLE", idle, "RETRYCOUNT", 0, "JUSTID");
      if (others.length > 0) await redis.xclaim(...claim, ...others, "IDLE", idle, "JUSTID");
    },

    async done(entries) {
      if (entries.length > 0) await removeEntries.run(redis, [key], [group, ...idsOf(entries)]);
    },

    async refuse(id, data, error) {
      const cut = data.slice(0, refusedChars);
      const fields = [
        "entry_id",
        id,
        "data",
        cut,
        "error",
        JSON.stringify(error),
        "timestamp",
        new Date().toISOString(),
      ];
      if (cut.length < data.length) fields.push("is_truncated", "true");
      await moveEntry.run(redis, [key, refusedKey], [group, id, refusedMost, ...fields]);
    },
  };
}

function idsOf(entries: readonly WayEntry[]): string[] {
  return entries.map(({ id }) => id);
}

/** KEYS: 1 way. ARGV: 1 group, rest: ids. No events. */
const removeEntries = createLuaScript(`
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
`);

/** KEYS: 1 way, 2 refused. ARGV: 1 group, 2 id, 3 how many refused ones are kept, rest: fields of the refused one. No events. */
const moveEntry = createLuaScript(`
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
`);
