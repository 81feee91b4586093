/**
 * How many appended events a second reach one subscriber through core's public log, with every append on the disk, and
 * how near is that to a bare ioredis loop that coalesces the same way? Appender and subscriber share a process.
 */
import { startBenchRedis } from "./events/bench-redis.ts";
import { type Child, startChild } from "./events/child.ts";
import type { LoopCalls, LoopKind } from "./events/log-loop.ts";
import type { Answer, Effort, Goal, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const program = new URL("./events/log-loop.ts", import.meta.url);
const bursts = [10, 50];
const goals: Goal[] = [
  { of: "ours", is: "≥", value: 50_000 },
  { of: "ratio", is: "≥", value: 0.9 },
];
const policies = ["always", "everysec"] as const;

type Rates = Record<LoopKind, number[]>;

export async function measureLogThroughput({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, events: 10_000 } : { rounds: 5, events: 100_000 };
  await using redis = await startBenchRedis();
  await using ours = startChild<LoopCalls>(program);
  await using bare = startChild<LoopCalls>(program);
  await ours.call("start", "ours", redis.path);
  await bare.call("start", "bare", redis.path);
  const loops = { ours, bare };
  for (const loop of Object.values(loops)) await loop.call("run", size.events / 5, 10);

  const rows: Row[] = [];
  const raw: Record<string, Rates> = {};
  for (const policy of policies) {
    await redis.setFsync(policy);
    for (const burst of bursts) {
      const rates = await measureRates(loops, { ...size, burst });
      rows.push(compare(policy, burst, rates));
      raw[`${policy}, ${burst} a turn`] = rates;
    }
  }
  return { question: "Appended events that reach one subscriber through the log", rows, raw };
}

interface RateOptions {
  rounds: number;
  events: number;
  burst: number;
}

/** In turn, so that both meet the same machine. */
async function measureRates(loops: Record<LoopKind, Child<LoopCalls>>, options: RateOptions): Promise<Rates> {
  const { rounds, events, burst } = options;
  const rates: Rates = { ours: [], bare: [] };
  for (let i = 0; i < rounds; i++) {
    for (const kind of ["bare", "ours"] as const) {
      rates[kind].push(round((events / (await loops[kind].call("run", events, burst))) * 1_000));
    }
  }
  return rates;
}

function compare(policy: (typeof policies)[number], burst: number, rates: Rates): Row {
  const [ours, theirs] = [summarize(rates.ours).median, summarize(rates.bare).median];
  return {
    what: `appendfsync ${policy}, ${burst} events a turn of the event loop, median`,
    unit: "events/s",
    ours,
    theirs,
    ratio: round(ours / theirs),
    beside: "bare ioredis: one script call with XADD and PUBLISH a turn",
    ...(policy === "always" && { goals }),
  };
}
