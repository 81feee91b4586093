import type { Redis } from "ioredis";
import { toStoreError } from "./store-error.ts";

/** A script that declares flags, and among them not that it writes nothing, is judged before it runs. */
const emptyScript = "#!lua\nreturn 1";

/**
 * Resolves where a write would be carried out, and writes nothing. Rejects with `STORE_UNAVAILABLE` where Redis would
 * refuse it (out of memory, a read-only replica, too few replicas, a disk that is full) or is away.
 */
export async function probeWrites(redis: Redis): Promise<void> {
  try {
    await redis.eval(emptyScript, 0);
  } catch (thrown) {
    throw toStoreError(thrown);
  }
}
