/**
 * What does an idle subscriber weigh? Each server is let have a few subscribers first, so that what it loads once does not
 * count; then 4,000 come, each on a socket of its own, and what the process holds is compared before and after, both
 * times after garbage collection.
 */
import { createTempFolder } from "@ksi/testing";
import { type BenchRedis, startBenchRedis } from "./events/bench-redis.ts";
import { startChild } from "./events/child.ts";
import { startCrowd } from "./events/crowd.ts";
import { type PeerName, peerNames, peerTitles, serverPrograms } from "./events/peers.ts";
import type { Memory, ServerCalls } from "./events/server.ts";
import type { Answer, Effort, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const firstSubscribers = 200;

/** kB of each subscriber. */
type Weights = Record<PeerName, Memory[]>;

export async function measureIdleMemory({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, subscribers: 500 } : { rounds: 3, subscribers: 4_000 };
  await using redis = await startBenchRedis();
  const weights: Weights = { ours: [], "socket.io": [], "stock tRPC": [], "plain ws": [] };
  for (let i = 0; i < size.rounds; i++) {
    for (const peer of peerNames) weights[peer].push(await weigh(peer, { redis, subscribers: size.subscribers }));
  }
  return {
    question: `Memory of an idle subscriber, of ${size.subscribers.toLocaleString("en")}`,
    rows: (["resident", "heap"] as const).flatMap((kind) => compare(kind, weights)),
    raw: { "kB each, by round": weights },
  };
}

async function weigh(
  peer: PeerName,
  { redis, subscribers }: { redis: BenchRedis; subscribers: number },
): Promise<Memory> {
  await using folder = await createTempFolder("ksi-bench-");
  await using server = startChild<ServerCalls>(serverPrograms[peer], ["--expose-gc"]);
  await using crowd = startCrowd(1);
  const access = await server.call("start", { redisPath: redis.path, dataDir: folder.path, port: 0 });
  await crowd.connect(peer, access, { count: firstSubscribers, look: "first" });
  const before = await server.call("memory");
  await crowd.connect(peer, access, { count: subscribers, look: "first" });
  const after = await server.call("memory");
  const each = (kind: keyof Memory) => round((after[kind] - before[kind]) / subscribers / 1_000);
  return { resident: each("resident"), heap: each("heap") };
}

function compare(kind: keyof Memory, weights: Weights): Row[] {
  const what = { resident: "resident memory", heap: "heap and what it holds outside" }[kind];
  const of = (peer: PeerName) => summarize(weights[peer].map((weight) => weight[kind])).median;
  return (["socket.io", "stock tRPC", "plain ws"] as const).map((peer) => ({
    ...{ what: `${what}, each, median`, unit: "kB", ours: of("ours"), theirs: of(peer) },
    ...{ ratio: round(of("ours") / of(peer)), beside: peerTitles[peer] },
    ...(peer === "socket.io" && { goals: [{ of: "ours", is: "≤", value: 25 }] }),
  }));
}
