/**
 * The part of this process in who is online.
 *
 * An agent is online while a process holds a connection for it, which renews its sign of life, and for
 * `agentOfflineAfterMs` after the last sign (also a registration or a heartbeat, agents.ts). Then it is offline
 * (presence-sweep.ts), until the next one. That is all in Redis, so it is the same for all processes; here are only the
 * connections of this one. It dies with them, and what it held falls silent.
 */
import { type AgentStoreOptions, createAgentStore } from "./agent-store.ts";
import type { Logger } from "./logger.ts";
import { createSweep } from "./presence-sweep.ts";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { startTicker } from "./ticker.ts";
import { settlesWithin } from "./within.ts";

/** Who is online. */
export interface Presence {
  /**
   * The agent is online as long as this is not ended, and for `agentOfflineAfterMs` after it. While Redis is away it is so
   * as soon as Redis is back. An agent that is not registered stays so. `end` is safe to repeat.
   */
  connect(agentId: string): { end(): void };
}

export interface PresenceOptions extends AgentStoreOptions {
  readonly logger: Logger;
  readonly agentOfflineAfterMs: number;
}

/** From one look for silent agents to the next, at most. */
const longestIntervalMs = 1_000;
/** Agents that are renewed by one call of Redis. */
const renewedAtOnce = 1_000;
/** What the last signs of life may take when this is closed. */
const farewellMs = 1_000;

/** Renews its connections and sweeps until it is disposed. Connections that are still open then count as ended. */
export function startPresence(options: PresenceOptions): Presence & AsyncDisposable {
  const { logger, agentOfflineAfterMs } = options;
  const agents = createAgentStore(options);
  const connections = new Map<string, number>();
  const warn = createRepeatedWarning(logger, "It could not be told that connected agents are alive; trying again.");
  const warnOfSweep = createRepeatedWarning(logger, "It could not be seen which agents are silent; trying again.");

  const thirdMs = agentOfflineAfterMs / 3;
  const intervalMs = Math.min(longestIntervalMs, agentOfflineAfterMs / 10);
  /** By `performance.now()`. Undefined where a sign of life did not get through, so that the next is given soon. */
  let renewedAt: number | undefined = performance.now();

  const renewal = startTicker({
    intervalMs,
    async action() {
      const now = performance.now();
      if (renewedAt !== undefined && now < renewedAt + thirdMs - intervalMs) return;
      renewedAt = now;
      await renew();
    },
    onError: fail,
  });
  const sweep = createSweep({ agents, silentMs: agentOfflineAfterMs, longestPauseMs: thirdMs });
  const sweeping = startTicker({ intervalMs, action: sweep, onError: (error) => warnOfSweep(error) });

  return {
    connect(agentId) {
      const count = (connections.get(agentId) ?? 0) + 1;
      connections.set(agentId, count);
      if (count === 1) sign(agentId);
      let isEnded = false;
      return {
        end() {
          if (isEnded) return;
          isEnded = true;
          disconnect(agentId);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await settlesWithin(Promise.all([renewal.stop(), sweeping.stop()]), farewellMs);
      await settlesWithin(renew().catch(warn), farewellMs);
      connections.clear();
    },
  };

  function disconnect(agentId: string): void {
    const count = connections.get(agentId);
    // Closed: its last sign of life was given then.
    if (count === undefined) return;
    if (count > 1) {
      connections.set(agentId, count - 1);
      return;
    }
    connections.delete(agentId);
    sign(agentId);
  }

  function sign(agentId: string): void {
    agents.see(agentId).catch(fail);
  }

  function fail(error: unknown): void {
    renewedAt = undefined;
    warn(error);
  }

  async function renew(): Promise<void> {
    const connected = [...connections.keys()];
    for (let i = 0; i < connected.length; i += renewedAtOnce) {
      const offline = await agents.renew(connected.slice(i, i + renewedAtOnce));
      // After an outage, say; or they are no agents any more.
      await Promise.all(offline.map((agentId) => agents.see(agentId)));
    }
  }
}
