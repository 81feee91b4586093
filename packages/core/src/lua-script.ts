import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { toStoreError } from "./redis/store-error.ts";

export interface LuaScript {
  /** Runs it atomically. Rejects with a KsiError; a reply has the type that the script gives it. */
  run(redis: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
}

/** A Lua script, sent once to each Redis and called by its hash from then on. */
export function createLuaScript(text: string): LuaScript {
  const sha = createHash("sha1").update(text).digest("hex");
  return {
    run: async (redis, keys, args) => {
      try {
        return await redis.evalsha(sha, keys.length, ...keys, ...args).catch((thrown: unknown) => {
          // A Redis that is new, restarted or flushed does not know it yet; nothing has run.
          if (!(thrown instanceof Error && thrown.message.startsWith("NOSCRIPT"))) throw thrown;
          return redis.eval(text, keys.length, ...keys, ...args);
        });
      } catch (thrown) {
        throw toStoreError(thrown);
      }
    },
  };
}
