/** A shared inbox in memory: each message is with one consumer, until it is acknowledged or that consumer ends. */
import type { Follow, Message } from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";

export interface FakeSharedInbox {
  append(...messages: Message[]): void;
  follow(prefetch: number, signal: AbortSignal | undefined): Follow<Message>;
  ack(ids: readonly string[]): void;
  /** They are anybody's again, at once, however long they were to wait. */
  giveBack(ids: readonly string[]): void;
  /** Takes from all consumers what they hold, as when they take too long to acknowledge it. */
  expire(): void;
  /** Ids in the order in which they were given out, repeats and all. */
  readonly delivered: readonly string[];
  /** Consumers that there are now, and have been. */
  readonly open: number;
  readonly opened: number;
}

interface Slot {
  readonly cursor: string;
  readonly message: Message;
  consumer?: object | undefined;
}

export function createFakeSharedInbox(): FakeSharedInbox {
  let slots: Slot[] = [];
  const delivered: string[] = [];
  const wakers = new Set<() => void>();
  let appended = 0;
  let open = 0;
  let opened = 0;
  const wakeAll = () => {
    const woken = [...wakers];
    wakers.clear();
    for (const wake of woken) wake();
  };

  async function* read(prefetch: number, signal: AbortSignal | undefined) {
    const consumer = {};
    open++;
    opened++;
    signal?.addEventListener("abort", wakeAll);
    try {
      while (!signal?.aborted) {
        const isFull = slots.filter((slot) => slot.consumer === consumer).length >= prefetch;
        const slot = isFull ? undefined : slots.find((candidate) => candidate.consumer === undefined);
        if (!slot) {
          await new Promise<void>((resolve) => wakers.add(resolve));
          continue;
        }
        slot.consumer = consumer;
        delivered.push(slot.message.id);
        yield { cursor: slot.cursor, event: slot.message };
      }
    } finally {
      open--;
      signal?.removeEventListener("abort", wakeAll);
      for (const slot of slots) if (slot.consumer === consumer) slot.consumer = undefined;
      wakeAll();
    }
  }

  return {
    append(...messages) {
      for (const message of messages) slots.push({ cursor: `1700000000000.${++appended}`, message });
      wakeAll();
    },
    follow: (prefetch, signal) => createFakeFollow("fake", () => read(prefetch, signal)),
    giveBack(ids) {
      for (const slot of slots) if (ids.includes(slot.message.id)) slot.consumer = undefined;
      wakeAll();
    },
    ack(ids) {
      slots = slots.filter(({ message }) => !ids.includes(message.id));
      wakeAll();
    },
    expire() {
      for (const slot of slots) slot.consumer = undefined;
      wakeAll();
    },
    delivered,
    get open() {
      return open;
    },
    get opened() {
      return opened;
    },
  };
}
