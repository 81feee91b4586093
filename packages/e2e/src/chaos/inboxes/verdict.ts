/** What must be so when all is quiet again. Each check gives one sentence for each thing that is not. */
import type { KsiEvent, Message } from "@ksi/client";
import type { JournalLine } from "./consumer.ts";
import type { AcceptedMessage } from "./load.ts";

/** What was accepted is on the bus once, and nothing else is. */
export function checkBus(accepted: readonly AcceptedMessage[], bus: readonly Message[]): string[] {
  const times = countBy(bus, ({ id }) => id);
  const known = new Set(accepted.map(({ id }) => id));
  return [
    ...accepted
      .filter(({ id }) => times.get(id) !== 1)
      .map((message) => `${nameOf(message)} is ${times.get(message.id) ?? 0} times on the bus`),
    ...bus.filter(({ id }) => !known.has(id)).map(({ id }) => `nobody sent the message ${id} of the bus`),
  ];
}

/** All that was sent to an agent was given to a consumer of it. */
export function checkGiven(accepted: readonly AcceptedMessage[], journals: readonly JournalLine[]): string[] {
  const given = new Set(journals.map(({ id }) => id));
  return accepted.filter(({ id }) => !given.has(id)).map((message) => `${nameOf(message)} was lost`);
}

/** A consumer that gets everything has each sender's messages, the first time each, in the order sent. */
export function checkOrder(journal: readonly JournalLine[]): string[] {
  const last = new Map<string, number>();
  const seen = new Set<string>();
  const failures: string[] = [];
  for (const { id, source, number } of journal) {
    if (seen.has(id)) continue;
    seen.add(id);
    const before = last.get(source) ?? -1;
    if (number < before) failures.push(`${number} of ${source} came after ${before}`);
    last.set(source, Math.max(number, before));
  }
  return failures;
}

/** Each was acknowledged once, delivered for the first time once, and nothing else became of it. */
export function checkReceipts(accepted: readonly AcceptedMessage[], events: readonly KsiEvent[]): string[] {
  const receipts = events.filter(({ event_type }) => event_type.startsWith("message."));
  const times = countBy(receipts, ({ event_type, payload }) => {
    const { message_id } = payload as { message_id: string };
    return `${event_type} ${message_id}`;
  });
  const wanted = { "message.acked": 1, "message.expired": 0, "message.dead": 0, "message.redriven": 0 };
  return accepted.flatMap((message) =>
    Object.entries(wanted)
      .filter(([type, count]) => (times.get(`${type} ${message.id}`) ?? 0) !== count)
      .map(([type]) => `${nameOf(message)} has ${times.get(`${type} ${message.id}`) ?? 0} times ${type}`),
  );
}

function nameOf({ id, source, target, number }: AcceptedMessage): string {
  return `message ${id} (${number} of ${source} to ${target})`;
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}
