/**
 * Messages through Redis Streams alone, as one writes it with ioredis: each agent has a stream and a consumer group. What is
 * sent or acknowledged in one turn of the event loop is one write; one connection waits for the messages of all agents.
 */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import type { BenchMessage } from "./bench-message.ts";
import type { Hearing, Manner, Place, Receivers, Sender } from "./peer.ts";

/** As the daemon's default. */
const maxEntries = 100_000;
const group = "agents";
const readMost = 1_000;
const blockMs = 1_000;

const streamOf = (agent: string) => `bench:{default}:${agent}`;

export async function openStreamSender({ redisPath }: Place): Promise<Sender> {
  const redis = connect(redisPath);
  return {
    send: (message) => {
      const whole = { id: randomUUID(), timestamp: new Date().toISOString(), ...message };
      return redis.xadd(streamOf(message.target), "MAXLEN", "~", maxEntries, "*", "m", JSON.stringify(whole));
    },
  };
}

export async function openStreamReceivers(
  { redisPath }: Place,
  agents: readonly string[],
  hearing: Hearing,
): Promise<Receivers> {
  const streams = agents.map(streamOf);
  const indexes = new Map(streams.map((stream, i) => [stream, i]));
  const [reading, acking] = [connect(redisPath), connect(redisPath)];
  for (const stream of streams) await acking.xgroup("CREATE", stream, group, "$", "MKSTREAM");
  const unanswered = new Set<Promise<void>>();
  let manner: Manner = { mode: "shared", isAcked: true };
  let round: Promise<void> = Promise.resolve();

  function ack(stream: string, ids: readonly string[]): void {
    const answered = acking.xack(stream, group, ...ids).then(
      (count) => {
        hearing.onAcked(count);
        unanswered.delete(answered);
      },
      (error) => hearing.onFailure(error),
    );
    unanswered.add(answered);
  }

  async function readOn(): Promise<void> {
    for (;;) {
      round = readOnce();
      await round;
    }
  }

  async function readOnce(): Promise<void> {
    const { isAcked } = manner;
    const found = await read(reading, streams, isAcked);
    for (const [stream, entries] of found) {
      const agent = indexes.get(stream) ?? Number.NaN;
      for (const [, fields] of entries) hearing.onMessage(agent, JSON.parse(fields?.[1] ?? "") as BenchMessage);
      const ids = entries.map(([id]) => id);
      if (isAcked) ack(stream, ids);
    }
  }

  readOn().catch((error) => hearing.onFailure(error));
  return {
    async follow(wanted) {
      manner = wanted;
      // The read that waits has begun in the manner of before.
      await round;
    },
    settle: async () => void (await Promise.all(unanswered)),
  };
}

/** What is not acknowledged is not kept for it either. */
async function read(redis: Redis, streams: readonly string[], isAcked: boolean) {
  const from = [...streams, ...streams.map(() => ">")];
  const found = isAcked
    ? await redis.xreadgroup("GROUP", group, "reader", "COUNT", readMost, "BLOCK", blockMs, "STREAMS", ...from)
    : await redis.xreadgroup(
        "GROUP",
        group,
        "reader",
        "COUNT",
        readMost,
        "BLOCK",
        blockMs,
        "NOACK",
        "STREAMS",
        ...from,
      );
  return found ?? [];
}

/** One that fails instead of trying again. */
function connect(path: string): Redis {
  const redis = new Redis({
    path,
    enableAutoPipelining: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  return redis.on("error", () => undefined);
}
