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
import type { Entry, Follow } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { ChannelHub, Member, Membership } from "./channel-hub.ts";
import { comparePositions, isDirectlyAfter, type StoredEntry } from "./event-log-entry.ts";
import type { ChannelReader, PageLimits, Place } from "./event-log-reader.ts";
import { type Batch, type Batches, ended, toFollow } from "./follow-of-batches.ts";

export interface FollowerOptions<E> {
  /** The channel's name, without prefix and tenant. */
  channel: string;
  /** The full key, which is what the hub knows it by. */
  key: string;
  place: Place;
  hub: ChannelHub;
  reader: Pick<ChannelReader, "read">;
  signal?: AbortSignal | undefined;
  /** Entries that it refuses are passed over. */
  accept?: ((entry: Entry<E>) => boolean) | undefined;
  /** The follow ends after the entry for which it is true. */
  isLast?: ((event: E) => boolean) | undefined;
  /** Of the queue. Default 1,000 entries and 4 MB. */
  queueLimits?: PageLimits | undefined;
}

const defaultQueueLimits: PageLimits = { maxEntries: 1_000, maxBytes: 4_194_304 };
const pageLimits: PageLimits = { maxEntries: 200, maxBytes: 1_048_576 };

/** A follow that has nothing more to say. */
export function createEndedFollow<E>(channel: string): Follow<E> {
  return toFollow({ channel, open: () => ({ next: async () => ended, return: async () => ended }) });
}

/** Nothing is opened before it is iterated. */
export function createFollow<E>(options: FollowerOptions<E>): Follow<E> {
  const { channel, signal } = options;
  let isOpen = false;
  const open = () => {
    if (isOpen) throw new KsiError("CONFLICT", "A follow can be iterated once. Ask for another one.");
    isOpen = true;
    return iterate(options);
  };
  return toFollow({ channel, open, signal });
}

function iterate<E>(options: FollowerOptions<E>): Batches<E> {
  const { signal, accept, isLast } = options;
  const follower = createFollower(options);

  const end = () => {
    signal?.removeEventListener("abort", end);
    follower.close();
    return ended;
  };
  if (signal?.aborted) end();
  else signal?.addEventListener("abort", end, { once: true });

  /** The very same array where nothing is left out. */
  function select(batch: Batch<E>): Batch<E> {
    const last = isLast ? batch.findIndex(({ event }) => isLast(event)) : -1;
    if (last !== -1) end();
    const upToLast = last === -1 || last === batch.length - 1 ? batch : batch.slice(0, last + 1);
    if (!accept || upToLast.every(accept)) return upToLast;
    return upToLast.filter(accept);
  }

  return {
    async next() {
      try {
        for (;;) {
          const batch = await follower.nextBatch();
          if (!batch) return end();
          const selected = select(batch);
          if (selected.length > 0) return { done: false, value: selected };
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
  /** At least one entry, as they came together; undefined once it is closed. */
  nextBatch(): Promise<readonly StoredEntry<E>[] | undefined>;
  close(): void;
}

function createFollower<E>(options: FollowerOptions<E>): Follower<E> {
  const { channel, key, hub, reader, queueLimits = defaultQueueLimits } = options;
  let { place } = options;
  let isBehind = true;
  /** One array for each message of the hub, whose size is beside it. */
  let queue: QueuedBatch<E>[] = [];
  let queuedEntries = 0;
  let queuedBytes = 0;
  let failure: KsiError | undefined;
  let isClosed = false;
  let membership: Membership | undefined;
  let wake: () => void = () => undefined;

  const member: Member = {
    onEntries(entries, size) {
      if (isBehind) return;
      if (queuedEntries + entries.length > queueLimits.maxEntries || queuedBytes + size > queueLimits.maxBytes) {
        fallBehind();
        return;
      }
      queue.push({ entries: entries as readonly StoredEntry<E>[], size });
      queuedEntries += entries.length;
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
      if (!membership) {
        membership = hub.join(key, member);
        await membership.joined;
      }
      for (;;) {
        if (isClosed) return undefined;
        if (failure) throw failure;
        const batch = isBehind ? await readBatch() : takeBatch();
        if (batch.length > 0 && !isClosed) return batch;
        if (!isBehind && queue.length === 0 && !failure && !isClosed) await new Promise<void>(onWake);
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

  /** What is new of the oldest message, as far as no number is missing. The message's own array where that is all of it. */
  function takeBatch(): readonly StoredEntry<E>[] {
    const message = queue.shift();
    if (!message) return [];
    queuedEntries -= message.entries.length;
    queuedBytes -= message.size;
    const fresh = freshOf(message.entries);
    const missing = fresh.findIndex((entry, i) => !continues(entry, fresh[i - 1]?.position ?? place));
    if (missing !== -1) fallBehind();
    const whole = missing === -1 ? fresh : fresh.slice(0, missing);
    place = whole.at(-1)?.position ?? place;
    return whole;
  }

  /** Without those that the last page had already. */
  function freshOf(entries: readonly StoredEntry<E>[]): readonly StoredEntry<E>[] {
    const [first] = entries;
    if (typeof place === "string" || !first || comparePositions(first.position, place) > 0) return entries;
    const { epoch, number } = place;
    return entries.filter(({ position }) => comparePositions(position, { epoch, number }) > 0);
  }

  function fallBehind(): void {
    isBehind = true;
    clearQueue();
    wake();
  }

  function clearQueue(): void {
    queue = [];
    queuedEntries = 0;
    queuedBytes = 0;
  }

  function onWake(resolve: () => void): void {
    wake = resolve;
  }
}

interface QueuedBatch<E> {
  readonly entries: readonly StoredEntry<E>[];
  readonly size: number;
}

/** `oldest` and `birth` are followed by whatever comes first. */
function continues(entry: StoredEntry, place: Place): boolean {
  return typeof place === "string" || isDirectlyAfter(entry.position, place);
}
