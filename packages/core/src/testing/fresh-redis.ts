import { createTempFolder } from "@ksi/testing";
import type { Logger } from "../logger.ts";
import { type Store, startStore } from "../redis/store.ts";

export interface FreshRedis extends AsyncDisposable {
  readonly store: Store;
  /** The way in for a second client: `unix:///…/redis.sock`. */
  readonly url: string;
}

/** An empty Redis of its own for one test: in memory only, ended with the test or with its process. */
export async function startFreshRedis(): Promise<FreshRedis> {
  const folder = await createTempFolder("ksi-redis-");
  try {
    const store = await startStore({ dir: folder.path, isDurable: false, logger: silentLogger });
    return {
      store,
      url: `unix://${store.commands.options.path}`,
      [Symbol.asyncDispose]: async () => {
        await store.close();
        await folder[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
