/**
 * Trades a tRPC subscription, which pushes as fast as the daemon sends, for a bounded queue that is asked for the next
 * event. Nothing is lost or repeated: whatever the queue does not take is read again after the last cursor it has. What
 * has no place of its own to go on from (`isShared`) has no such cursor: there the daemon bounds what is queued, and what
 * was queued when a subscription was lost is dropped, since the daemon then gives it to whoever comes next.
 *
 * States: `open` (subscribed) → `paused` (the queue is full; unsubscribed) → `open` once it is half empty; `open` →
 * `waiting` (the daemon ended the subscription with a failure that passes) → `open` after a delay; any → `ended`
 * (`close()`, or a failure that stays, given out after what is queued). A lost connection is not a state of its own:
 * tRPC's client subscribes again after the last id, and the feed stays `open`.
 */
import type { KsiError } from "@ksi/contract/errors";
import type { Unsubscribable } from "@trpc/server/observable";
import { backoffMs } from "./delay.ts";
import { isTransient, toKsiError } from "./to-ksi-error.ts";

export interface Entry<E> {
  cursor: string;
  event: E;
}

/** Where to start: after a cursor, else at the oldest event that is kept or at the present. */
export interface Start {
  lastEventId?: string | undefined;
  from?: "oldest" | "now" | undefined;
}

/** How tRPC delivers tracked events. */
export interface FeedHandlers<E> {
  onStarted(): void;
  onData(tracked: { id: string; data: E }): void;
  onError(error: unknown): void;
  onComplete(): void;
  onConnectionStateChange(change: { state: "idle" | "connecting" | "pending" }): void;
}

export interface FeedOptions<E> {
  subscribe(start: Start, handlers: FeedHandlers<E>): Unsubscribable;
  start: Start;
  /** Events that are queued at the most. */
  maxBuffered: number;
  /** The same events are divided among several, of which this is one. */
  isShared: boolean;
  /** The subscription goes on after a cut. */
  onReconnect?: (() => void) | undefined;
  /** Asked when the daemon twice ended the subscription in peace and gave nothing: is there nothing more to come? */
  isOver(): Promise<boolean>;
}

export interface Feed<E> {
  /** The next event, or `undefined` when there will be none. Rejects with a KsiError. One caller at a time. */
  next(): Promise<Entry<E> | undefined>;
  /** `next` gives what is queued no more. */
  close(): void;
}

export function openFeed<E>(options: FeedOptions<E>): Feed<E> {
  const { isShared, onReconnect } = options;
  // A subscription that is paused would give up what it holds.
  const maxBuffered = isShared ? Number.POSITIVE_INFINITY : options.maxBuffered;
  const queue: Entry<E>[] = [];
  const start = { ...options.start };
  let state: "open" | "paused" | "waiting" | "ended" = "paused";
  let failure: KsiError | undefined;
  let failures = 0;
  let emptyEnds = 0;
  let subscription: Unsubscribable | undefined;
  /** Stands for the subscription that is heard; callbacks of one that was left are late and mean nothing. */
  let heard: object | undefined;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let wake = () => {};

  function open(isReconnect: boolean) {
    state = "open";
    let starts = isReconnect ? 1 : 0;
    const mine = {};
    heard = mine;
    const opened = options.subscribe(start, {
      onStarted() {
        if (heard === mine && starts++ > 0) onReconnect?.();
      },
      onData({ id, data }) {
        if (heard !== mine || isQueued(id) || isRepeat(id, start.lastEventId)) return;
        if (!isShared) start.lastEventId = id;
        failures = 0;
        emptyEnds = 0;
        queue.push({ cursor: id, event: data });
        if (queue.length >= maxBuffered) leave("paused");
        wake();
      },
      onError(thrown) {
        if (heard !== mine) return;
        const error = toKsiError(thrown);
        if (isTransient(error)) retry();
        else end(error);
      },
      onComplete() {
        if (heard === mine) void settle();
      },
      onConnectionStateChange({ state: connection }) {
        if (heard === mine && isShared && connection === "connecting") queue.length = 0;
      },
    });
    if (heard === mine) subscription = opened;
    else opened.unsubscribe();
  }

  function leave(next: typeof state) {
    state = next;
    heard = undefined;
    if (isShared) queue.length = 0;
    subscription?.unsubscribe();
    subscription = undefined;
  }

  /** Given out again, by the daemon's deadline or after a move to another socket, before the loop came to it. */
  function isQueued(id: string): boolean {
    return isShared && queue.some(({ cursor }) => cursor === id);
  }

  function retry() {
    leave("waiting");
    retryTimer = setTimeout(() => open(true), backoffMs(failures++));
  }

  /** A daemon that drains ends subscriptions in peace too, so one end alone is not believed. */
  async function settle() {
    leave("waiting");
    const isOver = ++emptyEnds >= 2 && (await options.isOver().catch(() => false));
    if (state !== "waiting") return;
    if (isOver) end(undefined);
    else retry();
  }

  function end(error: KsiError | undefined) {
    clearTimeout(retryTimer);
    failure = error;
    leave("ended");
    wake();
  }

  async function next(): Promise<Entry<E> | undefined> {
    for (;;) {
      if (state === "paused" && queue.length <= maxBuffered / 2) open(false);
      const entry = queue.shift();
      if (entry) return entry;
      if (failure) throw failure;
      if (state === "ended") return undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    next,
    close() {
      queue.length = 0;
      failure = undefined;
      end(undefined);
    },
  };
}

/** A belt: events arrive in the order of their numbers, so one that is not after the last was delivered already. */
function isRepeat(cursor: string, last: string | undefined): boolean {
  if (last === undefined) return false;
  const [epoch, number] = cursor.split(".");
  const [lastEpoch, lastNumber] = last.split(".");
  return epoch === lastEpoch && Number(number) <= Number(lastNumber);
}
