/**
 * One reader of one channel: first what is kept, then what comes, in order and without a hole.
 *
 * It trades two sources. The *stream* has everything, a page at a time; the *queue* has what the hub delivered since
 * the last page was asked for. A follower `isBehind` when only the stream can tell what comes next: at first, after the
 * subscription was away, when the queue overflowed (it is then dropped, and collects nothing) and when a number is
 * missing in it. Being behind it reads pages at the consumer's pace, and is level again with the page that reaches the
 * stream's end. The queue collects while such a page is on its way, so that nothing falls between the two; what both
 * have is told apart by its number. In memory are at most one queue, and one page or queue being consumed.
 */
import type { Follow } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { ChannelHub, Member, Membership } from "./channel-hub.ts";
import { comparePositions, isDirectlyAfter, type StoredEntry } from "./event-log-entry.ts";
import type { ChannelReader, PageLimits, Place } from "./event-log-reader.ts";

export interface FollowerOptions<E> {
  /** The channel's name, without prefix and tenant. */
  channel: string;
  /** The full key, which is what the hub knows it by. */
  key: string;
  place: Place;
  hub: ChannelHub;
  reader: ChannelReader;
  signal?: AbortSignal | undefined;
  /** Entries that it refuses are passed over. */
  accept?: ((event: E) => boolean) | undefined;
  /** The follow ends after the entry for which it is true. */
  isLast?: ((event: E) => boolean) | undefined;
  /** Of the queue. Default 1,000 entries and 4 MB. */
  queueLimits?: PageLimits | undefined;
}

const defaultQueueLimits: PageLimits = { maxEntries: 1_000, maxBytes: 4_194_304 };
const pageLimits: PageLimits = { maxEntries: 200, maxBytes: 1_048_576 };

/** A follow whose entries also carry their stored JSON. Nothing is opened before it is iterated. */
export interface StoredFollow<E> extends Follow<E> {
  [Symbol.asyncIterator](): AsyncIterator<StoredEntry<E>, undefined>;
}

/** A follow that has nothing more to say. */
export function createEndedFollow<E>(channel: string): StoredFollow<E> {
  return { channel, [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) };
}

export function createFollow<E>(options: FollowerOptions<E>): StoredFollow<E> {
  let isOpen = false;
  return {
    channel: options.channel,
    [Symbol.asyncIterator]() {
      if (isOpen) throw new KsiError("CONFLICT", "A follow can be iterated once. Ask for another one.");
      isOpen = true;
      return iterate(options);
    },
  };
}

function iterate<E>(options: FollowerOptions<E>): AsyncIterator<StoredEntry<E>, undefined> {
  const { signal, accept, isLast } = options;
  const follower = createFollower(options);
  let batch: readonly StoredEntry<E>[] = [];
  let taken = 0;

  const end = () => {
    signal?.removeEventListener("abort", end);
    follower.close();
    batch = [];
    return { done: true, value: undefined } as const;
  };
  if (signal?.aborted) end();
  else signal?.addEventListener("abort", end, { once: true });

  return {
    // Not a generator: its `return` would wait for a `next` that waits for the next event.
    async next() {
      try {
        for (;;) {
          for (let entry = batch[taken]; entry; entry = batch[taken]) {
            taken += 1;
            const isEnd = isLast?.(entry.event) ?? false;
            if (isEnd) end();
            if (accept?.(entry.event) ?? true) return { done: false, value: entry };
          }
          const more = await follower.nextBatch();
          if (!more) return end();
          [batch, taken] = [more, 0];
        }
      } catch (thrown) {
        end();
        throw thrown;
      }
    },
    return: async () => end(),
  };
}

interface Follower<E> {
  /** At least one entry; undefined once it is closed. */
  nextBatch(): Promise<readonly StoredEntry<E>[] | undefined>;
  close(): void;
}

function createFollower<E>(options: FollowerOptions<E>): Follower<E> {
  const { channel, key, hub, reader, queueLimits = defaultQueueLimits } = options;
  let { place } = options;
  let isBehind = true;
  let queue: StoredEntry<E>[] = [];
  let queuedBytes = 0;
  let failure: KsiError | undefined;
  let isClosed = false;
  let membership: Membership | undefined;
  let wake: () => void = () => undefined;

  const member: Member = {
    onEntries(entries, size) {
      if (isBehind) return;
      if (queue.length + entries.length > queueLimits.maxEntries || queuedBytes + size > queueLimits.maxBytes) {
        fallBehind();
        return;
      }
      queue.push(...(entries as readonly StoredEntry<E>[]));
      queuedBytes += size;
      wake();
    },
    onRestored: fallBehind,
    onDismissed(reason) {
      failure = reason;
      wake();
    },
  };

  return {
    async nextBatch() {
      if (isClosed) return undefined;
      membership ??= hub.join(key, member);
      await membership.joined;
      for (;;) {
        if (isClosed) return undefined;
        if (failure) throw failure;
        const batch = isBehind ? await readBatch() : takeQueue();
        if (batch.length > 0 && !isClosed) return batch;
        if (!isBehind && queue.length === 0 && !failure && !isClosed) await waitForWake();
      }
    },
    close() {
      isClosed = true;
      membership?.leave();
      clearQueue();
      wake();
    },
  };

  async function readBatch(): Promise<readonly StoredEntry<E>[]> {
    clearQueue();
    isBehind = false;
    const page = await reader.read<E>(channel, place, pageLimits);
    place = page.next;
    if (page.hasMore) fallBehind();
    return page.entries;
  }

  /** What is new in the queue, as far as no number is missing. */
  function takeQueue(): readonly StoredEntry<E>[] {
    const fresh: StoredEntry<E>[] = [];
    for (const entry of queue) {
      if (typeof place !== "string" && comparePositions(entry.position, place) <= 0) continue;
      if (typeof place !== "string" && !isDirectlyAfter(entry.position, place)) {
        fallBehind();
        break;
      }
      fresh.push(entry);
      place = entry.position;
    }
    clearQueue();
    return fresh;
  }

  function fallBehind(): void {
    isBehind = true;
    clearQueue();
    wake();
  }

  function clearQueue(): void {
    queue = [];
    queuedBytes = 0;
  }

  async function waitForWake(): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
