/**
 * How soon has everybody what they missed when the server was away? 2,000 subscribers on sockets of their own each miss
 * 500 events of one channel, and connect anew all at once as soon as the server is back. One of them is the official
 * client, which finds back by itself.
 */
import { createTempFolder, until } from "@ksi/testing";
import { type BenchRedis, startBenchRedis } from "./events/bench-redis.ts";
import { startChild } from "./events/child.ts";
import { startCrowd } from "./events/crowd.ts";
import { serverPrograms } from "./events/peers.ts";
import type { PublisherCalls } from "./events/publisher.ts";
import type { ServerCalls } from "./events/server.ts";
import { startWitness } from "./events/witness.ts";
import type { Answer, Effort } from "./question.ts";
import { monotonicMs, round, summarize } from "./stats.ts";

const missed = 500;

export async function measureCatchUp({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, subscribers: 200 } : { rounds: 3, subscribers: 2_000 };
  const rounds: Round[] = [];
  for (let i = 0; i < size.rounds; i++) rounds.push(await measureRound(size.subscribers));
  const figure = (key: keyof Round) => summarize(rounds.map((round) => round[key])).median;
  const wrong = rounds.reduce((sum, round) => sum + round.wrong, 0);
  const beside = "no peer";
  return {
    question: `${size.subscribers.toLocaleString("en")} subscribers that each missed ${missed} events, after a server restart`,
    rows: [
      {
        ...{ what: "server ready to all caught up, median of the rounds", unit: "s", ours: figure("allS"), beside },
        goals: [{ of: "ours", is: "≤", value: 5 }],
      },
      {
        what: "server ready to half of them caught up, median of the rounds",
        unit: "s",
        ours: figure("halfS"),
        beside,
      },
      {
        what: "start of the server's process to ready, median of the rounds",
        unit: "s",
        ours: figure("startS"),
        beside,
      },
      {
        ...{ what: "events lost, repeated or out of order, in all rounds", unit: "events", ours: wrong },
        beside: `of ${(size.rounds * size.subscribers * missed).toLocaleString("en")}, the official client's included`,
        goals: [{ of: "ours", is: "≤", value: 0 }],
      },
    ],
    raw: { rounds },
  };
}

interface Round {
  startS: number;
  halfS: number;
  allS: number;
  wrong: number;
}

async function measureRound(subscribers: number): Promise<Round> {
  await using redis = await startBenchRedis();
  await using folder = await createTempFolder("ksi-bench-");
  await using publisher = startChild<PublisherCalls>(new URL("./events/publisher.ts", import.meta.url));
  await using crowd = startCrowd(2);
  await publisher.call("start", "ours", redis.path);

  const before = await startServer(redis, { dataDir: folder.path, port: 0 });
  await using witness = await startWitness(before.access);
  await crowd.connect("ours", before.access, { count: subscribers - 1, look: "order" });
  await publisher.call("publish", 1); // so that each has a cursor
  await until(async () => (await crowd.received()) + witness.received() === subscribers, { deadlineMs: 30_000 });
  await before.server[Symbol.asyncDispose]();

  await publisher.call("publish", missed);
  const startedAt = monotonicMs();
  const port = Number(new URL(before.access.url).port);
  const after = await startServer(redis, { dataDir: folder.path, port });
  await using _server = after.server;
  const readyAt = monotonicMs();
  const times = (await crowd.resume(after.access, missed)).map((at) => (at - readyAt) / 1_000);
  await until(() => witness.received() >= 1 + missed, { deadlineMs: 30_000, message: "the official client is back" });

  const { least, most, outOfOrder } = await crowd.tally();
  const wrong =
    outOfOrder +
    (1 + missed - least) +
    (most - 1 - missed) +
    (witness.received() - 1 - missed) +
    witness.complaints.length;
  return {
    startS: round((readyAt - startedAt) / 1_000),
    halfS: summarize(times).median,
    allS: summarize(times).max,
    wrong,
  };
}

async function startServer({ path }: BenchRedis, { dataDir, port }: { dataDir: string; port: number }) {
  const server = startChild<ServerCalls>(serverPrograms.ours);
  return { server, access: await server.call("start", { redisPath: path, dataDir, port }) };
}
