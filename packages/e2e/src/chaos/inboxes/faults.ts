/** Who is killed when, and for how long: drawn by a seed. */
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom, shuffle } from "@ksi/testing";
import type { Supervised } from "../kills/supervised.ts";

/** By what they are; each kind is taken as often as it says before all begin again. */
export interface Victims {
  readonly consumers: readonly Supervised[];
  readonly servers: readonly Supervised[];
  readonly workers: readonly Supervised[];
  readonly redis: readonly Supervised[];
}

export interface KillOptions {
  readonly seed: number;
  readonly victims: Victims;
  readonly forMs: number;
  readonly pauseMs: readonly [least: number, most: number];
  readonly log: (line: string) => void;
}

export type KillCounts = Record<keyof Victims, number>;

const acts = ["consumers", "consumers", "consumers", "consumers", "servers", "servers", "workers", "redis"] as const;
const mostDownMs = 1_500;

/** Resolves when everybody is up again. */
export async function killAtRandom({ seed, victims, forMs, pauseMs, log }: KillOptions): Promise<KillCounts> {
  const random = createRandom(seed);
  const counts: KillCounts = { consumers: 0, servers: 0, workers: 0, redis: 0 };
  for (const end = performance.now() + forMs; performance.now() < end; ) {
    for (const kind of shuffle(acts, random)) {
      await sleep(random.between(...pauseMs));
      const ms = random.between(0, mostDownMs);
      const victim = victims[kind][random.between(0, victims[kind].length - 1)];
      if (!victim?.kill(ms)) continue;
      counts[kind] += 1;
      log(`kill ${victim.name} for ${ms} ms`);
    }
  }
  await Promise.all(
    Object.values(victims).flatMap((all: readonly Supervised[]) => all.map((victim) => victim.settle())),
  );
  return counts;
}
