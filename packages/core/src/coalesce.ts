/**
 * Makes one call of what is asked for in one turn of the event loop, and of what comes while a call is under way: so calls
 * grow with the load, and their order is that of the asking.
 */
import { KsiError } from "@ksi/contract/errors";

export interface Coalescer<Item, Answer> {
  /** Rejects with what its call was rejected with, and with STORE_UNAVAILABLE where more waits than may wait. */
  add(item: Item): Promise<Answer>;
}

export interface CoalescerOptions<Item, Answer> {
  /** Gives one answer an item, in their order. An answer may be an error, for this item alone. */
  call: (items: readonly Item[]) => Promise<readonly (Answer | KsiError)[]>;
  /** Of one call. */
  maxItems: number;
  maxBytes: number;
  bytesOf: (item: Item) => number;
  /** That may wait, beside those under way. */
  maxWaiting: number;
}

interface Waiting<Item, Answer> {
  item: Item;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

export function createCoalescer<Item, Answer>(options: CoalescerOptions<Item, Answer>): Coalescer<Item, Answer> {
  let queue: Waiting<Item, Answer>[] = [];
  let isBusy = false;

  return {
    add(item) {
      if (queue.length >= options.maxWaiting) {
        const message = "More is waiting to be stored than this process may hold. Nothing was written; try again.";
        return Promise.reject(new KsiError("STORE_UNAVAILABLE", message));
      }
      return new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        if (isBusy) return;
        isBusy = true;
        setImmediate(() => void work());
      });
    },
  };

  async function work(): Promise<void> {
    while (queue.length > 0) await carryOut(takeCall());
    isBusy = false;
  }

  function takeCall(): Waiting<Item, Answer>[] {
    let bytes = 0;
    const end = queue.findIndex(({ item }, i) => {
      bytes += options.bytesOf(item);
      return i > 0 && (i >= options.maxItems || bytes > options.maxBytes);
    });
    if (end === -1) return queue.splice(0);
    const call = queue.slice(0, end);
    queue = queue.slice(end);
    return call;
  }

  /** Never rejects. */
  async function carryOut(call: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await options.call(call.map(({ item }) => item));
      call.forEach(({ resolve, reject }, i) => {
        const answer = answers[i];
        if (answer instanceof KsiError) reject(answer);
        else resolve(answer as Answer);
      });
    } catch (thrown) {
      for (const { reject } of call) reject(thrown);
    }
  }
}
