/**
 * Drops: connections are cut by the thousand while subscribers follow runs and the firehose on two servers with one Redis.
 * Each must be given every event of its channel once and in order, or be told exactly what was trimmed before it came.
 *
 * A drop is one connection cut while a subscription was open on it; those between a server and Redis are counted apart.
 * Events are appended in bursts, each as fast as it goes; the next one waits until those who read at once are near. So
 * followers are cut while they are level with the log as well as while they catch up.
 */
import { startStore } from "@ksi/core";
import { createRandom, createTempFolder } from "@ksi/testing";
import type { Channel } from "./drops/channel.ts";
import { type Crowd, startCrowd } from "./drops/crowd.ts";
import type { Follower } from "./drops/follower.ts";
import { type Producer, startProducer } from "./drops/producer.ts";
import type { SequenceCounts } from "./drops/sequence.ts";
import { type Server, startServer } from "./drops/servers.ts";
import type { ScenarioOptions, ScenarioReport } from "./scenario.ts";
import { silentLogger } from "./silent-logger.ts";

interface Size {
  /** Appended to the channels of runs, at least; to the firehose come some more. */
  readonly events: number;
  /** Of clients, at least. */
  readonly drops: number;
  readonly runs: number;
  readonly firehoseCap: number;
}

const long: Size = { events: 1_000_000, drops: 10_000, runs: 40, firehoseCap: 1_000 };
const short: Size = { events: 12_000, drops: 150, runs: 6, firehoseCap: 200 };

const token = "of-both-servers-of-drops";
/** How far behind the last event those who read at once may be when the next burst comes. */
const windowEvents = 500;
/**
 * The share of bursts that come into silence, are small, find a server cut off from Redis, and are followed by silence: no
 * later event would show that these are missing.
 */
const quietShare = 0.1;
/** Nobody was given anything for so long: what is missing then will not come. */
const stuckMs = 30_000;
const logEveryMs = 10_000;

interface Stage extends ScenarioOptions {
  readonly size: Size;
  readonly servers: readonly Server[];
  readonly producer: Producer;
  readonly channels: readonly Channel[];
  readonly followers: readonly Follower[];
}

export async function run(options: ScenarioOptions): Promise<ScenarioReport> {
  const { seed, isLong } = options;
  const size = isLong ? long : short;
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await createTempFolder("ksi-drops-"));
  stack.use(await startStore({ dir: `${folder}/redis`, logger: silentLogger }));
  const redisUrl = `unix://${folder}/redis/redis.sock`;
  const servers: Server[] = [];
  for (const i of [0, 2]) servers.push(stack.use(await startServer({ folder, redisUrl, token, seed: seed + i })));
  const producer = stack.use(await startProducer({ redisUrl, folder, ...size }));
  const channels = channelsOf(producer, size);
  const { followers }: Crowd = stack.use(startCrowd({ servers, channels, token, seed }));
  const stage: Stage = { ...options, size, servers, producer, channels, followers };
  const failures: string[] = [];
  try {
    await perform(stage);
  } catch (error) {
    failures.push(String(error));
  }
  return reportOf(stage, failures);
}

async function perform(stage: Stage): Promise<void> {
  const { followers, servers, producer } = stage;
  await progress(stage, "all followers have begun", () =>
    followers.every(({ sequence }) => sequence.counts.received > 0),
  );
  for (const server of servers) server.breakWays();
  await appendAll(stage);
  await progress(stage, "all followers have all", () => followers.every(hasAll));
  await producer.finish();
  const ofRuns = followers.filter(({ channel }) => channel.run_id !== undefined);
  await progress(stage, "those of runs have ended", () => ofRuns.every(({ hasEnded }) => hasEnded));
}

async function appendAll(stage: Stage): Promise<void> {
  const { size, producer, channels, followers, servers, seed, log } = stage;
  const random = createRandom(seed);
  const brisk = followers.filter(({ isSlow }) => !isSlow);
  const areWithin = (events: number) => () => brisk.every((follower) => behindBy(follower) <= events);
  let loggedAt = performance.now();
  for (;;) {
    const [events, drops] = [eventsOf(channels), dropsOf(servers)];
    if (events >= size.events && drops >= size.drops) return;
    if (events >= 2 * size.events) throw new Error(`${events} events had only ${drops} drops`);
    if (performance.now() - loggedAt > logEveryMs) {
      log(`${events} events, ${drops} drops`);
      loggedAt = performance.now();
    }
    const isQuiet = random.chance(quietShare);
    if (isQuiet) {
      await progress(stage, "those who read at once are level", areWithin(0));
      servers[random.between(0, servers.length - 1)]?.toRedis.cut();
    }
    await append(isQuiet ? 10 : 200);
    await progress(stage, "those who read at once are near", areWithin(isQuiet ? 0 : windowEvents));
  }

  async function append(most: number): Promise<void> {
    const counts = channels.map(({ cap }) => (cap === undefined ? random.between(0, most) : firehoseBurst(cap)));
    for (const [i, channel] of channels.entries()) channel.ordered += counts[i] ?? 0;
    await producer.append({ runs: counts.slice(0, -1), firehose: counts.at(-1) ?? 0 });
  }

  /** Mostly as much as keeps followers busy, and now and then far more than is kept. */
  function firehoseBurst(cap: number): number {
    return random.chance(0.1) ? random.between(cap, 3 * cap) : random.between(0, 100);
  }
}

/** Waits for as long as anybody gets anything. */
async function progress({ followers }: Stage, what: string, isDone: () => boolean): Promise<void> {
  let [received, since] = [-1, performance.now()];
  while (!isDone()) {
    const now = sum(followers.map(({ sequence }) => sequence.counts.received));
    if (now !== received) [received, since] = [now, performance.now()];
    if (performance.now() - since > stuckMs) throw new Error(`not so, and nothing came for ${stuckMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The runs in the order of the producer's, and the firehose last. */
function channelsOf({ run_ids }: Producer, { firehoseCap }: Size): Channel[] {
  const runs = run_ids.map((run_id, i) => ({ name: `run ${i}`, run_id, ordered: 0 }));
  return [...runs, { name: "the firehose", cap: firehoseCap, ordered: 0 }];
}

function reportOf({ followers, channels, servers }: Stage, failed: readonly string[]): ScenarioReport {
  const behind = followers.filter((follower) => !hasAll(follower));
  const failures = [
    ...failed,
    ...followers.flatMap(({ sequence }) => sequence.failures),
    ...behind.map(({ sequence, channel }) => `${sequence.name}: stands at ${sequence.last} of ${channel.ordered}`),
  ];
  const total = (count: keyof SequenceCounts) => sum(followers.map(({ sequence }) => sequence.counts[count]));
  const ofProxies = (which: "toClients" | "toRedis", count: "cuts" | "refused" | "silences") =>
    sum(servers.map((server) => server[which].counts[count]));
  const counts = {
    events: eventsOf(channels),
    events_of_the_firehose: sum(channels.filter(({ cap }) => cap !== undefined).map(({ ordered }) => ordered)),
    channels: channels.length,
    followers: followers.length,
    deliveries: total("received"),
    drops: dropsOf(servers),
    drops_of_redis: ofProxies("toRedis", "cuts"),
    refused: ofProxies("toClients", "refused") + ofProxies("toRedis", "refused"),
    silences: ofProxies("toClients", "silences") + ofProxies("toRedis", "silences"),
    resumes: sum(followers.map(({ resumes }) => resumes)),
    lost: total("lost") + sum(behind.map(behindBy)),
    repeated: total("repeated"),
    out_of_order: total("disordered"),
    gaps: total("gaps"),
    trimmed_and_told: total("trimmed"),
  };
  return { counts, failures };
}

function hasAll(follower: Follower): boolean {
  return behindBy(follower) === 0;
}

function behindBy({ sequence, channel }: Follower): number {
  return channel.ordered - sequence.last;
}

function eventsOf(channels: readonly Channel[]): number {
  return sum(channels.filter(({ cap }) => cap === undefined).map(({ ordered }) => ordered));
}

function dropsOf(servers: readonly Server[]): number {
  return sum(servers.map(({ drops }) => drops));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
