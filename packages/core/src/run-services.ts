/** The parts that deal with runs, put together for one tenant; core and worker both need them. */
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";
import { logTerms } from "./event-log-lua.ts";
import type { Logger } from "./logger.ts";
import { startReconciler } from "./reconciler.ts";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { createRunIndex, type RunIndex } from "./run-index.ts";
import { createRunQueue, type RunQueue } from "./run-queue.ts";
import { createRunStore, type RunStore } from "./run-store.ts";
import { settlesWithin } from "./within.ts";

/** How much is kept. Runs that are not final, and the newest of each channel, are kept in any case. */
export interface History {
  /** Events of one channel. */
  readonly maxEvents: number;
  /** Final runs, their events, and sessions without others. */
  readonly maxAgeMs: number;
}

export interface RunServices extends AsyncDisposable {
  readonly keys: TenantKeys;
  readonly runs: RunStore;
  readonly index: RunIndex;
  readonly queue: RunQueue;
  readonly dispatcher: Dispatcher;
}

export interface RunServicesOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly history: History;
  readonly tenant?: string | undefined;
}

/** What BullMQ may take for what is under way, and to close; without Redis it waits for ever. */
const closeMs = 3_000;

/** Repairs what crashes left behind from now on, until it is disposed. */
export function startRunServices({ store, logger, history, tenant }: RunServicesOptions): RunServices {
  const keys = store.keys.tenant(tenant);
  const redis = store.commands;
  const runs = createRunStore({ redis, keys, terms: logTerms({ ...history, ...store }), maxAgeMs: history.maxAgeMs });
  const index = createRunIndex(redis, keys);
  const queue = createRunQueue(store, keys, logger);
  const dispatcher = createDispatcher(index, queue, logger);
  const reconciler = startReconciler({ redis, keys, runs, index, queue, dispatcher, logger });
  const settle = async () => {
    await reconciler.stop();
    await dispatcher.settle();
  };
  return {
    keys,
    runs,
    index,
    queue,
    dispatcher,
    async [Symbol.asyncDispose]() {
      await settlesWithin(settle(), closeMs);
      await settlesWithin(queue.close(), closeMs);
    },
  };
}
