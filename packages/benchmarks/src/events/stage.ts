/** One peer at work: its server, a publisher and its subscribers, each in processes of their own. */
import { createTempFolder } from "@ksi/testing";
import type { BenchRedis } from "./bench-redis.ts";
import { type Child, startChild } from "./child.ts";
import { type Crowd, startCrowd } from "./crowd.ts";
import { type PeerName, serverPrograms } from "./peers.ts";
import type { PublisherCalls } from "./publisher.ts";
import type { ServerCalls } from "./server.ts";
import type { Look } from "./subscribers.ts";
import { startWitness, type Witness } from "./witness.ts";

export interface Stage extends AsyncDisposable {
  readonly server: Child<ServerCalls>;
  readonly publisher: Child<PublisherCalls>;
  readonly crowd: Crowd;
  /** Subscribers, the witness included. */
  readonly audience: number;
  /** Events that all of them together have had. */
  received(): Promise<number>;
  /** Resolves when everybody has had as many events as were published since the stage was set; throws what is wrong. */
  settle(published: number): Promise<void>;
}

export interface StageOptions {
  peer: PeerName;
  redis: BenchRedis;
  subscribers: number;
  look: Look;
  /** Of subscribers. Default 1. */
  processes?: number;
  /** An official client is one of the subscribers, where there is one. Default true. */
  hasWitness?: boolean;
}

const settleMs = 60_000;

export async function setStage(options: StageOptions): Promise<Stage> {
  const { peer, redis, look, processes = 1, hasWitness = true } = options;
  await using started = new AsyncDisposableStack();
  const folder = started.use(await createTempFolder("ksi-bench-"));
  const server = started.use(startChild<ServerCalls>(serverPrograms[peer], ["--expose-gc"]));
  const publisher = started.use(startChild<PublisherCalls>(new URL("./publisher.ts", import.meta.url)));
  const crowd = started.use(startCrowd(processes));

  const access = await server.call("start", { redisPath: redis.path, dataDir: folder.path, port: 0 });
  await publisher.call("start", peer, redis.path);
  const speaksTrpc = peer === "ours" || peer === "stock tRPC";
  const witness = speaksTrpc && hasWitness ? started.use(await startWitness(access)) : undefined;
  const count = options.subscribers - (witness ? 1 : 0);
  await crowd.connect(peer, access, { count, look });
  const received = async () => (await crowd.received()) + (witness?.received() ?? 0);
  const everything = started.move();
  return {
    server,
    publisher,
    crowd,
    audience: options.subscribers,
    received,
    settle: async (published) => {
      const deadline = performance.now() + settleMs;
      const due = published * options.subscribers;
      for (let had = await received(); had < due; had = await received()) {
        if (performance.now() > deadline) throw new Error(`${peer}: ${had} of ${due} deliveries in ${settleMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await complain(peer, { published, crowd, witness });
    },
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  };
}

interface Seen {
  published: number;
  crowd: Crowd;
  witness: Witness | undefined;
}

async function complain(peer: PeerName, { published, crowd, witness }: Seen): Promise<void> {
  const { least, most, outOfOrder } = await crowd.tally();
  if (least !== published || most !== published || outOfOrder > 0) {
    throw new Error(`${peer}: of ${published} events subscribers had ${least} to ${most}, ${outOfOrder} out of order`);
  }
  if (witness && (witness.received() !== published || witness.complaints.length > 0)) {
    throw new Error(`${peer}: the official client had ${witness.received()} of ${published}; ${witness.complaints[0]}`);
  }
}
