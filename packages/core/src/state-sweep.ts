import type { EventLog } from "./event-log.ts";
import type { Logger } from "./logger.ts";
import type { Store } from "./redis/store.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { dueScript, expireScript, stateChange } from "./state-scripts.ts";
import { startTicker, type Ticker } from "./ticker.ts";

export interface StateSweepOptions {
  readonly store: Pick<Store, "commands" | "keys">;
  /** Of the same tenant. */
  readonly log: EventLog;
  readonly tenant?: string | undefined;
  readonly logger: Logger;
  /** Default 1,000. */
  readonly intervalMs?: number | undefined;
}

const batchSize = 100;

/**
 * Forgets what has expired in the shared state, and tells it. Any number of processes may do so at once: which of them
 * forgets a key is decided by the script that also tells it.
 */
export function startStateSweep({ intervalMs = 1_000, ...options }: StateSweepOptions): Ticker {
  const { store, log, tenant, logger } = options;
  const { commands } = store;
  const keys = store.keys.tenant(tenant);
  const warn = createRepeatedWarning(logger, "What has expired in the shared state stays for now; trying again.");
  return startTicker({ intervalMs, action: forgetExpired, onError: warn });

  async function forgetExpired(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const due = (await dueScript.run(commands, [keys.stateExpiring], [batchSize])) as string[];
      await Promise.all(due.map(forget));
      if (due.length < batchSize) return;
    }
  }

  async function forget(member: string): Promise<void> {
    // A key may hold blanks, a namespace none.
    const end = member.indexOf(" ");
    const ref = { namespace: member.slice(0, end), key: member.slice(end + 1) };
    const { names, args } = stateChange(keys, log.terms, ref);
    await expireScript.run(commands, names, args);
  }
}
