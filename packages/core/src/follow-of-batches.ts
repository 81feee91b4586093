/** A follow, made of what gives batches of entries. */
import type { Entry, Follow } from "@ksi/contract";

export type Batch<E> = readonly Entry<E>[];

/** Not generators, here and below: their `return` would wait for a `next` that waits for the next event. */
export interface Batches<E> {
  next(): Promise<IteratorResult<Batch<E>, undefined>>;
  return(): Promise<IteratorReturnResult<undefined>>;
}

export const ended = { done: true, value: undefined } as const;

export interface Opening<E> {
  channel: string;
  /** Called once, by whoever iterates. */
  open: () => Batches<E>;
  signal?: AbortSignal | undefined;
}

export function toFollow<E>({ channel, open, signal }: Opening<E>): Follow<E> {
  return {
    channel,
    batches: () => ({ [Symbol.asyncIterator]: open }),
    [Symbol.asyncIterator]() {
      const batches = open();
      let batch: Batch<E> = [];
      let taken = 0;
      return {
        async next() {
          for (;;) {
            const entry = signal?.aborted ? undefined : batch[taken++];
            if (entry) return { done: false, value: entry };
            const more = await batches.next();
            if (more.done) return ended;
            [batch, taken] = [more.value, 0];
          }
        },
        return() {
          batch = [];
          return batches.return();
        },
      };
    },
  };
}

/** Told of what a follow gives. */
export interface Tap<E> {
  onBatch?(batch: Batch<E>): void;
  /** However it ends. More than once, perhaps. */
  onEnd?(): void;
}

/** The same follow, with a tap that is opened when it is iterated. */
export function tapFollow<E>(follow: Follow<E>, openTap: () => Tap<E>, signal?: AbortSignal): Follow<E> {
  const open = (): Batches<E> => {
    const tap = openTap();
    const batches = follow.batches()[Symbol.asyncIterator]();
    return {
      async next() {
        try {
          const batch = await batches.next();
          if (batch.done) tap.onEnd?.();
          else tap.onBatch?.(batch.value);
          return batch.done ? ended : batch;
        } catch (thrown) {
          tap.onEnd?.();
          throw thrown;
        }
      },
      async return() {
        await batches.return?.();
        tap.onEnd?.();
        return ended;
      },
    };
  };
  return toFollow({ channel: follow.channel, open, signal });
}
