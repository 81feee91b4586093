import type { Entry, EventFilter, EventsPort, KsiEvent } from "@ksi/contract";
import { type EventLog, newEvent } from "./event-log.ts";
import { channels } from "./redis/keys.ts";

export interface EventsOptions {
  /** Of the tenant whose events these are. */
  log: EventLog;
}

/** The firehose: what others publish goes nowhere else, a `run_id` in it or not. */
export function createEvents({ log }: EventsOptions): EventsPort {
  return {
    async publish(input) {
      const event = newEvent({ ...input, event_type: input.event_type as `x.${string}` });
      await log.append({ event, channels: [channels.firehose] });
      return { status: "published", id: event.id };
    },
    subscribe: (filter, { lastEventId, from }, signal) =>
      log.follow<KsiEvent>(channels.firehose, {
        after: lastEventId,
        from: from ?? "now",
        signal,
        accept: createFilter(filter),
      }),
  };
}

/** True for events that match every given field; of `types`, one. Undefined where all do, so that none need be parsed. */
function createFilter({ types, ...fields }: EventFilter): ((entry: Entry<KsiEvent>) => boolean) | undefined {
  const names = new Set(types?.filter((type) => !type.endsWith("*")));
  const prefixes = (types ?? []).filter((type) => type.endsWith("*")).map((type) => type.slice(0, -1));
  const wanted = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (types === undefined && wanted.length === 0) return undefined;
  return ({ event }) => {
    const isOfType =
      types === undefined ||
      names.has(event.event_type) ||
      prefixes.some((start) => event.event_type.startsWith(start));
    return isOfType && wanted.every(([name, value]) => (event as Record<string, unknown>)[name] === value);
  };
}
