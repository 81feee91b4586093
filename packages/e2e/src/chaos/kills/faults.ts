/** Who is killed or stopped when, and for how long: drawn by a seed. */
import { setTimeout as sleep } from "node:timers/promises";
import { createRandom, shuffle } from "@ksi/testing";
import type { Supervised } from "./supervised.ts";

export interface Victims {
  readonly servers: readonly [Supervised, ...Supervised[]];
  readonly workers: readonly [Supervised, ...Supervised[]];
  readonly redis: Supervised;
}

export interface FaultOptions {
  readonly seed: number;
  readonly victims: Victims;
  readonly forMs: number;
  readonly pauseMs: readonly [least: number, most: number];
  /** How long a worker is stopped; one of them. */
  readonly stopsMs: readonly [number, ...number[]];
  readonly log: (line: string) => void;
}

export interface FaultCounts {
  servers_killed: number;
  workers_killed: number;
  workers_stopped: number;
  redis_killed: number;
}

/** Each comes once before any comes again. */
const acts = ["server", "server", "worker", "worker", "stop", "stop", "redis"] as const;
const mostDownMs = 2_000;

/** Resolves when everybody is up again. */
export async function breakThings(options: FaultOptions): Promise<FaultCounts> {
  const { seed, victims, forMs, pauseMs, stopsMs, log } = options;
  const random = createRandom(seed);
  const counts: FaultCounts = { servers_killed: 0, workers_killed: 0, workers_stopped: 0, redis_killed: 0 };
  for (const end = performance.now() + forMs; performance.now() < end; ) {
    for (const act of shuffle(acts, random)) {
      await sleep(random.between(...pauseMs));
      // All is drawn before it is known who is up, so that a seed always plans the same.
      const ms = act === "stop" ? random.pick(stopsMs) : random.between(0, mostDownMs);
      const { what, victim, isDone } = perform(act, { ms, isLast: random.chance(0.5) }, victims);
      if (isDone) counts[what] += 1;
      log(`${act === "stop" ? "stop" : "kill"} ${victim.name} for ${ms} ms${isDone ? "" : ": it is not up"}`);
    }
  }
  const { servers, workers, redis } = victims;
  await Promise.all([redis, ...servers, ...workers].map((victim) => victim.settle()));
  return counts;
}

interface Plan {
  readonly ms: number;
  /** Who is taken of those who are up. */
  readonly isLast: boolean;
}

interface Performed {
  readonly what: keyof FaultCounts;
  readonly victim: Supervised;
  readonly isDone: boolean;
}

function perform(act: (typeof acts)[number], { ms, isLast }: Plan, { servers, workers, redis }: Victims): Performed {
  const [server, worker] = [choose(servers, isLast), choose(workers, isLast)];
  switch (act) {
    case "server":
      return { what: "servers_killed", victim: server, isDone: server.kill(ms) };
    case "worker":
      return { what: "workers_killed", victim: worker, isDone: worker.kill(ms) };
    case "stop":
      return { what: "workers_stopped", victim: worker, isDone: worker.stop(ms) };
    case "redis":
      return { what: "redis_killed", victim: redis, isDone: redis.kill(ms) };
  }
}

function choose(all: readonly [Supervised, ...Supervised[]], isLast: boolean): Supervised {
  const up = all.filter(({ isUp }) => isUp);
  return up.at(isLast ? -1 : 0) ?? all[0];
}
