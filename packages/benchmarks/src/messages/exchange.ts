/** One peer at work: its server, a sender and the agents, each in processes of their own, on a Redis of their own. */
import { setTimeout as sleep } from "node:timers/promises";
import { createTempFolder } from "@ksi/testing";
import { type BenchRedis, type RedisUse, startBenchRedis } from "../events/bench-redis.ts";
import { startChild } from "../events/child.ts";
import type { Access, StartServer } from "../events/server.ts";
import type { OurServerCalls } from "../events/server-ours.ts";
import { monotonicMs, round } from "../stats.ts";
import { agentNames } from "./bench-message.ts";
import type { Manner } from "./peer.ts";
import type { PeerName } from "./peers.ts";
import type { ReceiversCalls } from "./receivers.ts";
import type { SenderCalls } from "./sender.ts";

export interface Exchange extends AsyncDisposable {
  /** Throws where a message was lost, repeated or out of order. */
  carry(load: Load): Promise<Sample>;
  /** What Redis does in so many ms in which nothing is sent. */
  rest(ms: number): Promise<RedisUse>;
}

export interface ExchangeOptions {
  peer: PeerName;
  agents: number;
  /** For our server. */
  ours?: Pick<StartServer, "settings" | "cuts">;
}

export interface Load {
  /** See `SendLoad`. */
  inFlight: number;
  /** Messages of one send. Default 1, by itself. */
  batch?: number | undefined;
  manner: Manner;
  ms: number;
}

/** From the first send until all was accepted and received, and acknowledged where it is. */
export interface Sample {
  messages: number;
  ms: number;
  perSecond: number;
  /** ms from each send to its receipt. */
  delays: number[];
  redis: RedisUse;
}

const settleMs = 60_000;
const warmUpMs = 300;
const warmUpInFlight = 10;

export async function openExchange({ peer, agents: count, ours = {} }: ExchangeOptions): Promise<Exchange> {
  await using started = new AsyncDisposableStack();
  const redis = started.use(await startBenchRedis());
  const server = peer === "streams" ? undefined : await startServer(peer, { redis, started, ours });
  const receivers = started.use(startChild<ReceiversCalls>(new URL("./receivers.ts", import.meta.url)));
  const sender = started.use(startChild<SenderCalls>(new URL("./sender.ts", import.meta.url)));
  const place = { redisPath: redis.path, access: server?.access ?? { url: "", headers: {} } };
  const agents = agentNames(count);
  await receivers.call("start", peer, place, agents);
  await sender.call("start", peer, place, agents);
  let following: Manner | undefined;

  async function send(load: Load): Promise<Sample> {
    const before = await receivers.call("tally");
    const usedBefore = await redis.use();
    const { count: messages, startedAt, answeredAt } = await sender.call("send", load);
    const due = { received: before.received + messages, acked: load.manner.isAcked ? before.acked + messages : 0 };
    const lastAt = await arrived(due);
    const ms = Math.max(lastAt, answeredAt) - startedAt;
    const used = subtract(await redis.use(), usedBefore);
    const delays = await receivers.call("takeDelays");
    return { messages, ms: round(ms), perSecond: round((messages / ms) * 1_000), delays, redis: used };
  }

  /** Gives when the last of them came. */
  async function arrived(due: { received: number; acked: number }): Promise<number> {
    const deadline = monotonicMs() + settleMs;
    for (;;) {
      const { received, acked, lastAt, fault } = await receivers.call("tally");
      const counts = `${received} of ${due.received} messages came, ${acked} were acknowledged`;
      if (fault !== undefined) throw new Error(`${peer}, ${count} agents: ${fault}`);
      if (received === due.received && acked >= due.acked) return lastAt;
      if (received > due.received || monotonicMs() > deadline) throw new Error(`${peer}, ${count} agents: ${counts}`);
      await sleep(5);
    }
  }

  const everything = started.move();
  return {
    async carry(load) {
      if (following !== load.manner) {
        await receivers.call("follow", load.manner);
        await send({ ...load, inFlight: warmUpInFlight, ms: warmUpMs });
        following = load.manner;
      }
      const sample = await send(load);
      await receivers.call("settle");
      const unmet = await server?.unmetCuts();
      if (unmet?.length) throw new Error(`no script has ${unmet.map(({ text }) => text).join(" or ")} any more`);
      return sample;
    },
    async rest(ms) {
      const before = await redis.use();
      await sleep(ms);
      return subtract(await redis.use(), before);
    },
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  };
}

/** More than any load leaves unacknowledged, so that no inbox is full. */
const settings = { inbox_max_messages: 1_000_000 };
const programs: Record<Exclude<PeerName, "streams">, URL> = {
  ours: new URL("../events/server-ours.ts", import.meta.url),
  "socket.io": new URL("./server-socket-io.ts", import.meta.url),
};

interface ServerPlace {
  redis: BenchRedis;
  started: AsyncDisposableStack;
  ours: Pick<StartServer, "settings" | "cuts">;
}

interface Server {
  access: Access;
  unmetCuts(): Promise<readonly { text: string }[]>;
}

async function startServer(peer: keyof typeof programs, { redis, started, ours }: ServerPlace): Promise<Server> {
  const folder = started.use(await createTempFolder("ksi-bench-"));
  const server = started.use(startChild<OurServerCalls>(programs[peer]));
  const where = { redisPath: redis.path, dataDir: folder.path, port: 0 };
  const access = await server.call("start", { ...where, ...ours, settings: { ...settings, ...ours.settings } });
  return { access, unmetCuts: async () => (peer === "ours" ? await server.call("unmetCuts") : []) };
}

function subtract(now: RedisUse, before: RedisUse): RedisUse {
  return { scriptUs: now.scriptUs - before.scriptUs, cpuMs: round(now.cpuMs - before.cpuMs) };
}
