import { randomUUID } from "node:crypto";
import type { Entry } from "@ksi/contract";
import { type EventLog, type EventLogs, type EventLogsOptions, startEventLogs } from "../event-log.ts";
import type { TenantKeys } from "../redis/keys.ts";
import type { Store } from "../redis/store.ts";

export interface FreshLog extends AsyncDisposable {
  readonly log: EventLog;
  readonly logs: EventLogs;
  /** Nobody else uses it. */
  readonly tenant: string;
  readonly keys: TenantKeys;
}

export type FreshLogOptions = Partial<Omit<EventLogsOptions, "store">> & { tenant?: string };

/** The log of a new tenant, so that tests can share a Redis; or one more process's log of a tenant. */
export function startFreshLog(store: Store, options: FreshLogOptions = {}): FreshLog {
  const { tenant = randomUUID(), ...rest } = options;
  const logs = startEventLogs({ store, maxEvents: 100_000, ...rest });
  return {
    log: logs.tenant(tenant),
    logs,
    tenant,
    keys: store.keys.tenant(tenant),
    [Symbol.asyncDispose]: () => logs.close(),
  };
}

/** The next `count` entries. */
export async function take<E>(iterator: AsyncIterator<Entry<E>>, count: number): Promise<Entry<E>[]> {
  const entries: Entry<E>[] = [];
  while (entries.length < count) {
    const { done, value } = await iterator.next();
    if (done) throw new Error(`the follow ended after ${entries.length} of ${count} entries`);
    entries.push(value);
  }
  return entries;
}
