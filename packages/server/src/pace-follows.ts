/** Makes subscriptions wait for a reader that cannot keep up; tRPC itself sends as fast as events come. */
import type { Follow, Ports } from "@ksi/contract";

/** Resolves when more may be sent; undefined where that is now. */
export type WhenWritable = () => Promise<void> | undefined;

/**
 * The same ports, whose follows take no further event while `whenWritable` is pending. What waits then waits in the
 * log, at its own cursor.
 */
export function paceFollows(ports: Ports, whenWritable: WhenWritable): Ports {
  const { runs, messages, events } = ports;
  return {
    ...ports,
    runs: { ...runs, events: async (...args) => pace(await runs.events(...args), whenWritable) },
    messages: { ...messages, inbox: async (...args) => pace(await messages.inbox(...args), whenWritable) },
    events: { ...events, subscribe: async (...args) => pace(await events.subscribe(...args), whenWritable) },
  };
}

function pace<E>(follow: Follow<E>, whenWritable: WhenWritable): Follow<E> {
  return {
    channel: follow.channel,
    async *[Symbol.asyncIterator]() {
      for await (const entry of follow) {
        yield entry;
        // Resumed only when the entry has been handed to the socket.
        await whenWritable();
      }
    },
  };
}
