/**
 * What does a delivery cost the server, and how many a second does it make, to 100 and to 1,000 WebSocket subscribers?
 * Beside ours: socket.io with its Redis Streams adapter, tRPC's own WebSocket adapter, and plain `ws` as the floor.
 *
 * Clients and the publisher have processes of their own. CPU is that of the server's process, less what it uses when
 * nothing happens. The paces are the same for all; flat out, a publisher sends as fast as events arrive.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type BenchRedis, startBenchRedis } from "./events/bench-redis.ts";
import { type PeerName, peerNames, peerTitles } from "./events/peers.ts";
import { type Stage, setStage } from "./events/stage.ts";
import type { Answer, Effort, Goal, Row } from "./question.ts";
import { monotonicMs, round, summarize } from "./stats.ts";

const audiences = [100, 1_000];
/** Deliveries a second: what the slowest peer can do, event by event; and what the others can, ten at a time. */
const paces = {
  slow: { deliveries: 5_000, burst: 1 },
  brisk: { deliveries: 30_000, burst: 10 },
};
/** Deliveries that may be on their way when sent flat out. */
const windowDeliveries = 50_000;
const warmUpDeliveries = 10_000;
const idleMs = 1_000;

type LoadName = keyof typeof paces | "flat out";

/** One load, from the first append until all that was appended had arrived everywhere. */
interface Sample {
  ms: number;
  deliveries: number;
  /** Of the server's process, not yet less what it uses idle. */
  cpuMs: number;
}

interface PeerResult {
  /** CPU in ms of a ms in which nothing happens. */
  idle: number;
  samples: Partial<Record<LoadName, Sample[]>>;
}

export async function measureFanOut({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, loadMs: 500 } : { rounds: 3, loadMs: 1_200 };
  const rows: Row[] = [];
  const raw: Record<string, unknown> = {};
  for (const audience of audiences) {
    await using redis = await startBenchRedis();
    const results = {} as Record<PeerName, PeerResult>;
    for (const peer of peerNames) results[peer] = await measurePeer(peer, { redis, audience, ...size });
    rows.push(...compareAll(audience, results));
    raw[`${audience} subscribers`] = results;
  }
  return { question: "From the log to WebSocket subscribers", rows, raw };
}

interface PeerOptions {
  redis: BenchRedis;
  audience: number;
  rounds: number;
  loadMs: number;
}

async function measurePeer(peer: PeerName, options: PeerOptions): Promise<PeerResult> {
  const { redis, audience, rounds, loadMs } = options;
  const processes = audience > 100 ? 2 : 1;
  await using stage = await setStage({ peer, redis, look: "first", subscribers: audience, processes });
  const warmUp = warmUpDeliveries / audience;
  await stage.publisher.call("publish", warmUp);
  await stage.settle(warmUp);

  const before = await stage.server.call("cpu");
  await sleep(idleMs);
  const idle = ((await stage.server.call("cpu")) - before) / idleMs;
  const samples: PeerResult["samples"] = {};
  let published = warmUp;
  for (const load of ["slow", "brisk", "flat out"] as const) {
    if (load === "brisk" && peer === "stock tRPC") continue; // which cannot do as much
    const measured: Sample[] = [];
    for (let round = 0; round < rounds; round++) {
      const sample = await measureLoad(stage, { load, loadMs, published });
      published += sample.deliveries / audience;
      measured.push(sample);
    }
    samples[load] = measured;
  }
  return { idle, samples };
}

interface LoadOptions {
  load: LoadName;
  loadMs: number;
  /** Before. */
  published: number;
}

async function measureLoad(stage: Stage, { load, loadMs, published }: LoadOptions): Promise<Sample> {
  const { server, audience } = stage;
  const cpuBefore = await server.call("cpu");
  const startedAt = monotonicMs();
  const count = load === "flat out" ? await flood(stage, loadMs) : await pace(stage, { ...paces[load], loadMs });
  await stage.settle(published + count);
  const ms = monotonicMs() - startedAt;
  const cpuMs = (await server.call("cpu")) - cpuBefore;
  return { ms: round(ms), deliveries: count * audience, cpuMs: round(cpuMs) };
}

interface Pace {
  deliveries: number;
  burst: number;
  loadMs: number;
}

async function pace({ publisher, audience }: Stage, { deliveries, burst, loadMs }: Pace): Promise<number> {
  return await publisher.call("pace", { perSecond: deliveries / audience, burst, ms: loadMs });
}

async function flood(stage: Stage, loadMs: number): Promise<number> {
  const { publisher, audience } = stage;
  const ending = new AbortController();
  const flooding = publisher.call("flood", { windowEvents: windowDeliveries / audience, ms: loadMs });
  const confirming = confirmArrivals(stage, ending.signal);
  try {
    return await flooding;
  } finally {
    ending.abort();
    await confirming;
  }
}

/** Tells the publisher of a flood how many events have arrived everywhere, on average. */
async function confirmArrivals({ received, publisher, audience }: Stage, signal: AbortSignal): Promise<void> {
  const before = await received();
  while (!signal.aborted) {
    await publisher.call("confirm", Math.floor(((await received()) - before) / audience));
    await sleep(5);
  }
}

/** µs of CPU for each delivery, beyond what the process uses idle. */
function cpuOf({ idle, samples }: PeerResult, load: LoadName): number {
  const costs = (samples[load] ?? []).map(({ ms, cpuMs, deliveries }) => ((cpuMs - idle * ms) / deliveries) * 1_000);
  return summarize(costs).median;
}

function rateOf({ samples }: PeerResult): number {
  return summarize((samples["flat out"] ?? []).map(({ ms, deliveries }) => (deliveries / ms) * 1_000)).median;
}

/** The floor is there to be looked at. */
const cpuGoals: Record<string, Goal> = {
  "socket.io": { of: "ratio", is: "≤", value: 0.25 },
  "stock tRPC": { of: "ratio", is: "≤", value: 0.04 },
};

function compareAll(audience: number, results: Record<PeerName, PeerResult>): Row[] {
  const to = `to ${audience.toLocaleString("en")} subscribers`;
  const peers = ["socket.io", "stock tRPC", "plain ws"] as const;
  const titles: Record<LoadName, string> = {
    slow: `event by event at ${paces.slow.deliveries.toLocaleString("en")} deliveries/s`,
    brisk: `ten events at a time at ${paces.brisk.deliveries.toLocaleString("en")} deliveries/s`,
    "flat out": "flat out",
  };
  const rows: Row[] = [];
  for (const load of ["slow", "brisk", "flat out"] as const) {
    for (const peer of peers) {
      if (!results[peer].samples[load]) continue;
      const [ours, theirs] = [cpuOf(results.ours, load), cpuOf(results[peer], load)];
      const goal = cpuGoals[peer];
      rows.push({
        ...{ what: `server CPU of a delivery ${to}, ${titles[load]}`, unit: "µs", ours, theirs },
        ...{ ratio: round(ours / theirs), beside: peerTitles[peer] },
        ...(goal && { goals: [goal] }),
      });
    }
  }
  for (const peer of peers) {
    const [ours, theirs] = [rateOf(results.ours), rateOf(results[peer])];
    rows.push({
      ...{ what: `deliveries ${to}, flat out`, unit: "deliveries/s", ours, theirs },
      ...{ ratio: round(ours / theirs), beside: peerTitles[peer] },
      ...(peer !== "plain ws" && { goals: [{ of: "ratio", is: ">", value: 1 } satisfies Goal] }),
    });
  }
  return rows;
}
