/** All who follow: each run on both servers, by the typed client on one and the official one on the other. */
import { createKsiClient, type KsiClient } from "@ksi/client";
import { createRandom } from "@ksi/testing";
import type { Channel } from "./channel.ts";
import { type Follower, followOfficial, followTyped } from "./follower.ts";
import type { Server } from "./servers.ts";

export interface CrowdOptions {
  /** Two. */
  readonly servers: readonly Server[];
  readonly channels: readonly Channel[];
  readonly token: string;
  readonly seed: number;
}

export interface Crowd extends AsyncDisposable {
  readonly followers: readonly Follower[];
}

/** So many channels of runs are followed over one socket of a typed client. */
const runsPerClient = 2;
/** Every so many runs have a third follower, who reads slowly. */
const runsPerSlow = 6;
const slowPauseMs = 150;

export function startCrowd({ servers, channels, token, seed }: CrowdOptions): Crowd {
  const followers: Follower[] = [];
  const clients: KsiClient[] = [];
  const runs = channels.filter(({ run_id }) => run_id !== undefined);
  const others = channels.filter(({ run_id }) => run_id === undefined);

  for (const [i, channel] of runs.entries()) {
    const isShared = i % runsPerClient > 0;
    followers.push(followTyped({ channel, client: isShared ? latestClient() : newClient(i / runsPerClient) }));
    followers.push(followOfficial({ channel, token, url: urlOf(i / runsPerClient + 1) }));
    if (i % runsPerSlow === 0) followers.push(followSlowly(channel, i));
  }
  for (const channel of others) {
    for (const side of [0, 1]) {
      followers.push(followTyped({ channel, client: newClient(side) }));
      followers.push(followOfficial({ channel, token, url: urlOf(side) }));
      followers.push(followSlowly(channel, side));
    }
  }
  return {
    followers,
    async [Symbol.asyncDispose]() {
      for (const follower of followers) follower.stop();
      await Promise.all(clients.map((client) => client.close()));
    },
  };

  function urlOf(turn: number): string {
    return servers[Math.floor(turn) % servers.length]?.url ?? "";
  }

  function newClient(turn: number): KsiClient {
    const client = createKsiClient({ url: urlOf(turn), token });
    clients.push(client);
    return client;
  }

  function latestClient(): KsiClient {
    return clients.at(-1) ?? newClient(0);
  }

  function followSlowly(channel: Channel, turn: number): Follower {
    const random = createRandom(seed, turn);
    return followTyped({ channel, client: newClient(turn), pauses: { random, mostMs: slowPauseMs } });
  }
}
