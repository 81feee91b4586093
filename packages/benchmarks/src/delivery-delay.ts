/**
 * How long from an append in one process to its arrival at a client in another, by way of a server in a third, at 5,000
 * events a second? Beside ours, on the same Redis (which passes nothing on before it is on the disk): socket.io with its
 * Redis Streams adapter.
 */
import { startBenchRedis } from "./events/bench-redis.ts";
import { type PeerName, peerTitles } from "./events/peers.ts";
import { setStage } from "./events/stage.ts";
import type { Answer, Effort, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const perSecond = 5_000;
/** Events in the same moment; the timer of a publisher ticks once a millisecond. */
const burst = 5;
const warmUp = 5_000;
const peers = ["ours", "socket.io"] as const satisfies PeerName[];

type Delays = Record<(typeof peers)[number], number[][]>;

export async function measureDeliveryDelay({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, ms: 1_000 } : { rounds: 5, ms: 4_000 };
  const delays: Delays = { ours: [], "socket.io": [] };
  for (let i = 0; i < size.rounds; i++) {
    for (const peer of peers) delays[peer].push(await measureRound(peer, size.ms));
  }
  const rows = (["median", "p99"] as const).map((figure) => compare(figure, delays));
  return {
    question: "From an append in one process to a client in another, at 5,000 events/s",
    rows,
    raw: { "rounds, in ms": Object.fromEntries(peers.map((peer) => [peer, delays[peer].map(summarize)])) },
  };
}

/** On a Redis of its own, so that no round meets what another has left. */
async function measureRound(peer: PeerName, ms: number): Promise<number[]> {
  await using redis = await startBenchRedis();
  await using stage = await setStage({ peer, redis, look: "delay", subscribers: 1, hasWitness: false });
  await stage.publisher.call("publish", warmUp);
  await stage.settle(warmUp);
  await stage.crowd.takeDelays();
  const count = await stage.publisher.call("pace", { perSecond, burst, ms });
  await stage.settle(warmUp + count);
  return await stage.crowd.takeDelays();
}

/** The median of the rounds' figures: one round that the machine disturbed does not decide. */
function compare(figure: "median" | "p99", delays: Delays): Row {
  const of = (peer: (typeof peers)[number]) => summarize(delays[peer].map((round) => summarize(round)[figure])).median;
  const [ours, theirs] = [of("ours"), of("socket.io")];
  return {
    ...{ what: `append to client, ${figure}`, unit: "ms", ours, theirs },
    ...{ ratio: round(ours / theirs), beside: peerTitles["socket.io"] },
    ...(figure === "p99" && { goals: [{ of: "ours", is: "≤", value: 10 }] }),
  };
}
