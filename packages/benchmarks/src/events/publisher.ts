/**
 * A program: appends numbered events in the way that each peer's server hears of them. For ours that is core's log as
 * any other process of KSI has it, for socket.io a second node of its cluster, for the others the bare log.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Server } from "socket.io";
import { monotonicMs } from "../stats.ts";
import { openBareLog } from "./bare-log.ts";
import { draftEvent, wholeEvent } from "./bench-event.ts";
import { connectTo } from "./bench-redis.ts";
import { answerParent } from "./child.ts";
import { openCore } from "./open-core.ts";
import type { PeerName } from "./peers.ts";

export interface PublisherCalls {
  start(peer: PeerName, redisPath: string): Promise<void>;
  /** So many, in calls of up to 50; resolves when all are appended. */
  publish(count: number): Promise<void>;
  /** `burst` events in the same moment, as often as makes `perSecond`, for `ms`. Gives how many. */
  pace(options: { perSecond: number; burst: number; ms: number }): Promise<number>;
  /** As fast as `confirm` tells that they arrive: never more than `windowEvents` on their way. Gives how many. */
  flood(options: { windowEvents: number; ms: number }): Promise<number>;
  /** How many of the flood have arrived. */
  confirm(events: number): void;
}

const burstEvents = 50;

/** Appends the next events, from number `from` on. */
type Append = (from: number, count: number) => Promise<unknown>;

const opened = Promise.withResolvers<Append>();
let published = 0;
let confirmed = 0;
let failure: Error | undefined;

answerParent({
  start: async (peer, redisPath) => opened.resolve(await openers[peer](redisPath)),
  async publish(count) {
    const append = await opened.promise;
    for (let left = count; left > 0; left -= burstEvents) {
      const burst = Math.min(left, burstEvents);
      await append(published, burst);
      published += burst;
    }
  },
  async pace({ perSecond, burst, ms }) {
    const append = await opened.promise;
    const startedAt = monotonicMs();
    const first = published;
    for (let elapsed = 0; elapsed < ms; elapsed = monotonicMs() - startedAt) {
      while (published - first + burst <= (elapsed / 1_000) * perSecond) appendSoon(append, burst);
      throwFailure();
      await sleep(1);
    }
    return published - first;
  },
  async flood({ windowEvents, ms }) {
    const append = await opened.promise;
    const startedAt = monotonicMs();
    const first = published;
    confirmed = 0;
    while (monotonicMs() < startedAt + ms) {
      const room = windowEvents - (published - first - confirmed);
      if (room > 0) appendSoon(append, Math.min(room, burstEvents));
      throwFailure();
      await (room > 0 ? nextTurn() : sleep(1));
    }
    return published - first;
  },
  confirm(events) {
    confirmed = events;
  },
} satisfies PublisherCalls);

function appendSoon(append: Append, count: number): void {
  append(published, count).catch((error: Error) => {
    failure ??= error;
  });
  published += count;
}

function throwFailure(): void {
  if (failure) throw failure;
}

const openers: Record<PeerName, (redisPath: string) => Promise<Append>> = {
  ours: async (redisPath) => {
    const { events } = await openCore(redisPath);
    return (from, count) => Promise.all(Array.from({ length: count }, (_, i) => events.publish(draftEvent(from + i))));
  },
  "socket.io": async (redisPath) => {
    const node = new Server({ adapter: createAdapter(connectTo(redisPath)), connectionStateRecovery: {} });
    return async (from, count) => {
      for (let i = 0; i < count; i++) node.emit("event", wholeEvent(from + i));
    };
  },
  "stock tRPC": openBare,
  "plain ws": openBare,
};

async function openBare(redisPath: string): Promise<Append> {
  const log = await openBareLog(connectTo(redisPath));
  return (from, count) => log.append(Array.from({ length: count }, (_, i) => wholeEvent(from + i)));
}
