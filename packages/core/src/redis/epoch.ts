import type { Store } from "./store.ts";

/**
 * The epoch of a tenant's numbering: the time, in milliseconds, at which this store first numbered an event. It is the
 * first half of every cursor, so that a cursor of a store that was since emptied or replaced is recognised and not
 * taken for a place in the new one. Made by whoever asks first; safe to repeat and to race.
 */
export async function ensureEpoch(store: Pick<Store, "commands" | "keys">, tenant?: string): Promise<string> {
  const now = String(Date.now());
  return (await store.commands.set(store.keys.tenant(tenant).epoch, now, "NX", "GET")) ?? now;
}
