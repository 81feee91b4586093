/**
 * The cap by age. (That by length is kept with every append.)
 *
 * Now and then each channel's oldest entries are looked at, and those whose events are too old are removed. Any number
 * of processes may do so at once: what is removed is named by the id up to which it was seen to be old, and an id is
 * never given twice, so the worst that a late or repeated trim can do is nothing. A follower that had not read them
 * meets HISTORY_TRIMMED; one that had goes on, since an emptied Stream remembers its last number. Only channels that
 * nobody will write to again are deleted when they are empty, or a daemon's Redis would keep a name for every run.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { parseCursor } from "./event-log-entry.ts";
import type { Logger } from "./logger.ts";
import { createLuaScript } from "./lua-script.ts";
import { channels, type Keys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";

export interface HistoryTrimOptions {
  store: Pick<Store, "commands" | "keys">;
  maxAgeMs: number;
  /** Before anything of a channel (by its key) is removed: `first` is the id of the first entry that stays. */
  beforeTrim?: ((key: string, first: string) => Promise<void>) | undefined;
  logger: Logger;
  /** Between the end of one pass and the start of the next. Default 60,000. */
  intervalMs?: number | undefined;
}

/** Trims from now on until it is disposed, which waits for the step under way. Failures are logged and tried again. */
export function startHistoryTrim(options: HistoryTrimOptions): AsyncDisposable {
  const stop = new AbortController();
  const done = trimForEver(options, stop.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await done;
    },
  };
}

async function trimForEver(options: HistoryTrimOptions, signal: AbortSignal): Promise<void> {
  const { store, maxAgeMs, beforeTrim, logger, intervalMs = 60_000 } = options;
  while (!signal.aborted) {
    try {
      const removed = await trimByAge({ store, maxAgeMs, beforeTrim, signal });
      logger.debug({ removed }, "Removed events that were too old.");
      await sleep(intervalMs, undefined, { signal, ref: false });
    } catch (thrown) {
      if (signal.aborted) return;
      logger.warn({ err: thrown }, "Could not remove old events; trying again later.");
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

export interface TrimOptions {
  store: Pick<Store, "commands" | "keys">;
  maxAgeMs: number;
  beforeTrim?: HistoryTrimOptions["beforeTrim"];
  signal?: AbortSignal | undefined;
}

/** One pass over all channels of all tenants, in small steps. Gives the number of entries removed. Safe to repeat. @internal for its tests */
export async function trimByAge({ store, maxAgeMs, beforeTrim, signal }: TrimOptions): Promise<number> {
  const { commands, keys } = store;
  const isChannel = matcher(keys, Object.values(channels));
  const isDisposable = matcher(keys, [channels.run, channels.results]);
  const oldestMs = Date.now() - maxAgeMs;
  let removed = 0;
  let cursor = "0";
  do {
    const [next, found] = await commands.scan(cursor, "COUNT", 500, "TYPE", "stream");
    for (const key of found.filter(isChannel)) {
      if (signal?.aborted) return removed;
      removed += await trimChannel(commands, key, { oldestMs, beforeTrim });
      if (isDisposable(key)) await deleteIfEmpty.run(commands, [key], []);
    }
    cursor = next;
  } while (cursor !== "0" && !signal?.aborted);
  return removed;
}

/** KEYS: 1 channel. Deletes it when it is empty and nobody follows it. Returns 1 if it did. */
const deleteIfEmpty = createLuaScript(`
if redis.call('XLEN', KEYS[1]) > 0 or redis.call('PUBSUB', 'NUMSUB', KEYS[1])[2] > 0 then return 0 end
return redis.call('DEL', KEYS[1])
`);

const stepEntries = 32;

interface ChannelTrim {
  oldestMs: number;
  beforeTrim: HistoryTrimOptions["beforeTrim"];
}

async function trimChannel(redis: Redis, key: string, { oldestMs, beforeTrim }: ChannelTrim): Promise<number> {
  let removed = 0;
  // Most channels have nothing to trim, and one entry shows it.
  for (let count = 1; ; count = stepEntries) {
    const entries = await redis.xrange(key, "-", "+", "COUNT", count);
    const young = entries.find(([, [, json]]) => timeOf(json) >= oldestMs);
    const last = entries.at(-1);
    if (!last || young === entries[0]) return removed;
    const first = young ? young[0] : idAfter(last[0]);
    await beforeTrim?.(key, first);
    removed += await redis.xtrim(key, "MINID", first);
    if (young) return removed;
  }
}

/** When the event happened, or the message was put back; a thing that is no event of ours counts as old. */
function timeOf(json: string | undefined): number {
  try {
    const { timestamp, redriven_at } = JSON.parse(json ?? "") as { timestamp: string; redriven_at?: string };
    return Date.parse(redriven_at ?? timestamp) || 0;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof TypeError) return 0;
    throw thrown;
  }
}

function idAfter(id: string): string {
  const { epoch, number } = parseCursor(id.replace("-", ".")) ?? { epoch: 0, number: 0 };
  return `${epoch}-${number + 1}`;
}

/** Recognises the keys of channels by their names, for every tenant and whatever the names are made with. */
function matcher(keys: Keys, names: readonly (string | ((id: string) => string))[]): (key: string) => boolean {
  const any = "\0";
  const patterns = names.map((name) => keys.tenant(any).channel(typeof name === "string" ? name : name(any)));
  const escaped = patterns.map((pattern) => pattern.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&").replaceAll(any, ".+"));
  const expression = new RegExp(`^(?:${escaped.join("|")})$`);
  return (key) => expression.test(key);
}
