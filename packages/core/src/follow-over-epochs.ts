/**
 * A follow that goes on over changes of epoch which lie in its past.
 *
 * Who follows a log is told when its numbering starts anew, since something may be lost then (event-log-lua.ts). Who
 * begins with what a ledger says is still to be delivered has nothing to compare: where the ledger names messages of
 * several epochs, or the last message is of an older one, a change is no gap.
 */
import type { Follow } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { ended, toFollow } from "./follow-of-batches.ts";

export interface OverEpochsOptions<E> {
  /** Of the log, after this cursor. */
  readonly open: (after: string | undefined) => Promise<Follow<E>>;
  readonly start: string | undefined;
  /** Whether nothing came yet that was appended since the follow was asked for. */
  readonly isPast: () => boolean;
}

export async function followOverEpochs<E>({ open, start, isPast }: OverEpochsOptions<E>): Promise<Follow<E>> {
  const first = await openAfter(start);
  return toFollow({ channel: first.channel, open: iterate });

  async function openAfter(after: string | undefined): Promise<Follow<E>> {
    try {
      return await open(after);
    } catch (thrown) {
      const next = passEpoch(thrown);
      if (next === after) throw thrown;
      return await openAfter(next);
    }
  }

  /** After what the next epoch begins. Throws what is no change of epoch, and one that is news. */
  function passEpoch(thrown: unknown): string {
    const { code, details } = KsiError.from(thrown);
    const isChange = code === "HISTORY_TRIMMED" && details?.reason === "epoch_changed";
    if (!isChange || details.oldest === undefined || !isPast()) throw thrown;
    return details.oldest;
  }

  function iterate() {
    let batches = first.batches()[Symbol.asyncIterator]();
    let isEnded = false;
    return {
      async next() {
        while (!isEnded) {
          try {
            const batch = await batches.next();
            return batch.done ? ended : batch;
          } catch (thrown) {
            const follow = await openAfter(passEpoch(thrown));
            // Left meanwhile: nobody would end what is opened now.
            if (isEnded) break;
            batches = follow.batches()[Symbol.asyncIterator]();
          }
        }
        return ended;
      },
      async return() {
        isEnded = true;
        await batches.return?.();
        return ended;
      },
    };
  }
}
