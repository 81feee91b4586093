/**
 * The pages that followers of one process read, shared: after a restart, or when a channel is faster than its readers,
 * many of them ask for the same ones.
 *
 * Pages end at round numbers, so that followers that began at different places soon ask alike. Two things are shared.
 * A page that has more behind it can never change, so the latest of them are kept. And reads of the same place are one
 * call as long as nothing can have been delivered in between: a follower collects what is published from before its read
 * on, and a call that is older than that could end before what it missed.
 */
import type { ChannelPage, ChannelReader, PageLimits, Place } from "./event-log-reader.ts";

/** JSON of the pages that are kept, in characters. */
const keptChars = 2_097_152;
/** What a page weighs beside its JSON, so that very small ones are not kept by the thousand. */
const pageChars = 4_096;

interface KeptPage {
  readonly page: ChannelPage<unknown>;
  readonly chars: number;
}

export function shareReads(reader: Pick<ChannelReader, "read">): Pick<ChannelReader, "read"> {
  /** Least recently used first. */
  const kept = new Map<string, KeptPage>();
  const underWay = new Map<string, Promise<ChannelPage<unknown>>>();
  let chars = 0;

  async function read(channel: string, place: Place, limits: PageLimits): Promise<ChannelPage<unknown>> {
    const key = keyOf(channel, place);
    const known = kept.get(key);
    if (known) {
      forget(key, known);
      keep(key, known);
      return known.page;
    }
    const shared = underWay.get(key);
    if (shared) return await shared;
    const reading = reader.read<unknown>(channel, place, untilRoundNumber(place, limits));
    underWay.set(key, reading);
    // Before the next input of the event loop is handled, and so before anything is delivered.
    process.nextTick(() => underWay.delete(key));
    const page = await reading;
    const isFinal = page.hasMore && typeof place !== "string";
    if (isFinal && !kept.has(key))
      keep(key, { page, chars: page.entries.reduce((sum, { json }) => sum + json.length, pageChars) });
    return page;
  }

  function keep(key: string, entry: KeptPage): void {
    kept.set(key, entry);
    chars += entry.chars;
    for (const [oldest, old] of kept) {
      if (chars <= keptChars) return;
      forget(oldest, old);
    }
  }

  function forget(key: string, entry: KeptPage): void {
    kept.delete(key);
    chars -= entry.chars;
  }

  return { read: read as ChannelReader["read"] };
}

function keyOf(channel: string, place: Place): string {
  return typeof place === "string" ? `${place} ${channel}` : `${place.epoch}-${place.number} ${channel}`;
}

function untilRoundNumber(place: Place, { maxEntries, maxBytes }: PageLimits): PageLimits {
  if (typeof place === "string") return { maxEntries, maxBytes };
  return { maxEntries: maxEntries - (place.number % maxEntries), maxBytes };
}
