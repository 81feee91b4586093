import { until } from "@ksi/testing";
import type { Store } from "../redis/store.ts";

/** Milliseconds since 1970 by the clock of Redis. */
export async function redisTime({ commands }: Pick<Store, "commands">): Promise<number> {
  const [seconds = 0, microseconds = 0] = await commands.time();
  return seconds * 1_000 + Math.floor(microseconds / 1_000);
}

/** Waits until the clock of Redis is there. */
export async function untilRedisTime(store: Pick<Store, "commands">, timestamp: string | undefined): Promise<void> {
  const end = Date.parse(timestamp ?? "");
  await until(async () => (await redisTime(store)) >= end, { message: `it is ${timestamp}` });
}
