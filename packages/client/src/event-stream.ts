/** Following a channel as an async iterable that survives cuts and can be resumed. */
import { KsiError } from "@ksi/contract/errors";
import type { Unsubscribable } from "@trpc/server/observable";
import { joinSignals } from "./call.ts";
import { type Feed, type FeedHandlers, openFeed, type Start } from "./feed.ts";

/** Events that are not kept any more lie between the last one received and `oldest`. */
export interface Gap {
  /** Where the loop stood; undefined when it had received nothing. */
  readonly after: string | undefined;
  /**
   * The cursor after which the loop goes on, directly before the oldest event that is kept. Undefined for an inbox that
   * begins anew with what nobody has acknowledged.
   */
  readonly oldest: string | undefined;
  readonly reason: "trimmed" | "epoch_changed" | undefined;
}

export interface FollowOptions {
  /** Goes on after this cursor, kept from an earlier `stream.cursor`. */
  cursor?: string | undefined;
  /**
   * Where to start without a cursor. Default: `oldest` for runs, `now` for the firehose, and what nobody has acknowledged
   * for an inbox, which is only looked at with `from`.
   */
  from?: "oldest" | "now" | undefined;
  /** Ends the loop without an error. */
  signal?: AbortSignal | undefined;
  /** The connection was lost and the stream goes on behind the last event. Told before the events that follow. */
  onReconnect?: (() => void) | undefined;
  /**
   * Without it, a gap in the history ends the loop with a KsiError `HISTORY_TRIMMED`, but for an inbox that began with what
   * nobody has acknowledged: that begins so again, and what the loop had and did not acknowledge is given once more.
   */
  onGap?: ((gap: Gap) => void) | undefined;
  /** Events kept ready at the most; with more to come, the daemon is asked again later. Default 1,000. */
  maxBuffered?: number | undefined;
}

/**
 * Events in order, each once. Leaving the loop closes the subscription; looping again goes on after `cursor`. One loop
 * at a time. Waits for as long as the daemon is away, and rejects with a KsiError for all that does not pass by itself
 * (`UNAUTHORIZED`, `NOT_FOUND`, `HISTORY_TRIMMED` …).
 */
export interface EventStream<E> extends AsyncIterable<E> {
  /**
   * The place of the last event that the loop was given. Opaque; keep it to go on later, in another process too. A shared
   * inbox has none.
   */
  readonly cursor: string | undefined;
}

export interface StreamSource<E> {
  subscribe(start: Start, handlers: FeedHandlers<E>): Unsubscribable;
  /** The same events are divided among several; each loop begins with what is free. */
  isShared?: boolean;
  /** After a gap it begins as it began without a cursor: the daemon knows what is still to be given. */
  isBegunAnew?: boolean;
  /** After this event there are none. */
  isLast?(event: E): boolean;
  /** Asked when the daemon ends the subscription although no last event came. */
  isOver?(signal: AbortSignal): Promise<boolean>;
}

const defaultMaxBuffered = 1_000;

export function createEventStream<E>(
  source: StreamSource<E>,
  options: FollowOptions,
  ends: readonly AbortSignal[],
): EventStream<E> {
  let cursor = options.cursor;
  let from = options.from;
  let isComplete = false;

  async function* read(left: AbortSignal): AsyncGenerator<E, void> {
    const { signal, unlink } = joinSignals([left, ...ends, ...(options.signal ? [options.signal] : [])]);
    let feed: Feed<E> | undefined;
    signal.addEventListener("abort", () => feed?.close());
    try {
      while (!signal.aborted && !isComplete) {
        feed = open(signal);
        try {
          yield* drain(feed);
          return;
        } catch (error) {
          passGap(error);
        }
      }
    } finally {
      unlink();
      feed?.close();
    }
  }

  async function* drain(feed: Feed<E>): AsyncGenerator<E, void> {
    for (let entry = await feed.next(); entry; entry = await feed.next()) {
      if (!source.isShared) cursor = entry.cursor;
      isComplete = source.isLast?.(entry.event) ?? false;
      if (isComplete) feed.close();
      yield entry.event;
    }
  }

  function open(signal: AbortSignal): Feed<E> {
    return openFeed<E>({
      subscribe: source.subscribe,
      start: { lastEventId: cursor, from },
      isShared: source.isShared ?? false,
      maxBuffered: Math.max(1, options.maxBuffered ?? defaultMaxBuffered),
      onReconnect: options.onReconnect,
      isOver: async () => (await source.isOver?.(signal)) ?? false,
    });
  }

  /** Throws what is not a gap, a gap that nobody wants to hear of, and one that going on did not leave behind. */
  function passGap(error: unknown) {
    const { code, details } = KsiError.from(error);
    const oldest = source.isBegunAnew ? undefined : details?.oldest;
    const isTold = source.isBegunAnew || options.onGap;
    if (code !== "HISTORY_TRIMMED" || !isTold || cursor === oldest) throw error;
    const after = cursor;
    cursor = oldest;
    if (!source.isBegunAnew) from = "oldest";
    options.onGap?.({ after, oldest, reason: details?.reason });
  }

  return {
    get cursor() {
      return cursor;
    },
    [Symbol.asyncIterator]() {
      const left = new AbortController();
      const events = read(left.signal);
      return {
        next: () => events.next(),
        // A generator alone would first wait for the event that a pending `next` waits for.
        return: () => {
          left.abort();
          return events.return();
        },
      };
    },
  };
}
