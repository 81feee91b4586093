/** Subscribers of one server in as many processes as asked for. */
import { type Child, startChild } from "./child.ts";
import type { PeerName } from "./peers.ts";
import type { Access } from "./server.ts";
import type { Look, SubscriberCalls, Tally } from "./subscribers.ts";

export interface Crowd extends AsyncDisposable {
  /** Resolves when this many more are subscribed. */
  connect(peer: PeerName, access: Access, options: { count: number; look: Look }): Promise<void>;
  /** Events that all together have had. */
  received(): Promise<number>;
  tally(): Promise<Tally>;
  takeDelays(): Promise<number[]>;
  resume(access: Access, last: number): Promise<number[]>;
}

const program = new URL("./subscribers.ts", import.meta.url);

export function startCrowd(processes: number): Crowd {
  const parts = Array.from({ length: processes }, () => startChild<SubscriberCalls>(program));
  const each = <T>(ask: (part: Child<SubscriberCalls>, i: number) => Promise<T>) => Promise.all(parts.map(ask));
  return {
    connect: async (peer, access, { count, look }) => {
      const share = (i: number) => Math.floor((count + i) / processes);
      await each((part, i) => part.call("connect", peer, access, share(i), look));
    },
    received: async () => (await each((part) => part.call("received"))).reduce((sum, of) => sum + of, 0),
    tally: async () => {
      const tallies = await each((part) => part.call("tally"));
      return {
        least: Math.min(...tallies.map(({ least }) => least)),
        most: Math.max(...tallies.map(({ most }) => most)),
        outOfOrder: tallies.reduce((sum, { outOfOrder }) => sum + outOfOrder, 0),
      };
    },
    takeDelays: async () => (await each((part) => part.call("takeDelays"))).flat(),
    resume: async (access, last) => (await each((part) => part.call("resume", access, last))).flat(),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(parts.map((part) => part[Symbol.asyncDispose]()));
    },
  };
}
