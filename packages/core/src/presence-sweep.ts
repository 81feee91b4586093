/**
 * Turns agents offline that have been silent for too long. Every process does it; which of them tells of an agent is
 * settled by the script, so that it is told once.
 *
 * A silence is believed only when this process has been looking for as long. While Redis was away or took no writes
 * nobody could give a sign, and where this process did not run (a suspended machine, one that is overloaded) the others
 * may not have run either. Each look is a script that Redis would refuse where it takes no writes; a longer pause between
 * two looks, by the clock of Redis, and the watch begins anew.
 */
import type { AgentStore, Watch } from "./agent-store.ts";

export interface SweepOptions {
  readonly agents: Pick<AgentStore, "findSilent" | "turnOffline">;
  readonly silentMs: number;
  readonly longestPauseMs: number;
}

const batchSize = 100;

/** Each call of what this gives is one look. */
export function createSweep({ agents, ...limits }: SweepOptions): (signal?: AbortSignal) => Promise<void> {
  let watch: Watch = { lookedAt: 0, since: 0 };

  return async (signal) => {
    while (!signal?.aborted) {
      const found = await agents.findSilent(watch, { ...limits, most: batchSize });
      watch = found.watch;
      if (found.silent.length === 0) return;
      const turned = await agents.turnOffline(found.silent, watch, limits);
      // With none, others were faster, or something stood still: in both cases the next look knows more.
      if (turned === 0 || found.silent.length < batchSize) return;
    }
  };
}
