/**
 * What does a chat completion through `/v1` cost beyond the work itself, beside Portkey's gateway in front of a provider
 * that does the same work? Portkey forwards a call; ours is accepted durably, queued, executed by a worker and logged.
 * Overhead is the whole call less the same work without a gateway: Portkey's provider called directly, and for ours a
 * timer of that length, since the echo runner waits in the daemon's own process.
 */
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createTempFolder } from "@ksi/testing";
import { startBareBullmq } from "./bare-bullmq.ts";
import { startBenchDaemon } from "./daemon.ts";
import { callMany, type StreamTimes, streamOnce, type Target, type Work } from "./http-load.ts";
import { installPeer, type PeerProcess, startPeer } from "./peer.ts";
import type { Answer, Row } from "./question.ts";
import { now, round, summarize } from "./stats.ts";

const portkeyVersion = "1.15.2";
const portkey = `Portkey gateway ${portkeyVersion}`;
const concurrencies = [1, 8, 32];
const workMs = 20;
const callsPerStep = 400;
const rounds = 3;

export async function measureGateway(): Promise<Answer> {
  await using folder = await createTempFolder();
  await using daemon = await startBenchDaemon(folder.path, {
    KSI_MAX_CONCURRENT_RUNS: "32",
    KSI_REQUESTS_PER_MINUTE: "0",
  });
  await using upstream = await startUpstream();
  await using gateway = await startPortkey();
  await using bullmq = await startBareBullmq();
  const targets = { ours: echoOf(daemon), agent: agentOf(daemon), theirs: portkeyOf(gateway, upstream.line) };
  const direct = providerOf(upstream.line);
  for (const target of [targets.ours, targets.theirs, direct]) await warmUp(target);
  await bullmq.addToStart();

  const overheads = await measureOverheads(targets.ours, targets.theirs, direct);
  const rates = await measureRates(targets.ours, targets.theirs);
  const queue: number[] = [];
  for (let i = 0; i < 200; i++) queue.push(await bullmq.addToStart());
  const streams = await measureStreams(targets.agent, targets.theirs);
  return {
    question: "A chat completion through /v1, beside a gateway that only forwards",
    rows: [
      ...overheads.rows,
      ...rates.rows,
      {
        what: "of this, the queue by itself: bare BullMQ, add to start, median",
        unit: "ms",
        ours: summarize(queue).median,
        beside: "one durable write; the same Redis settings",
      },
      ...streams.rows,
    ],
    raw: { overheads: overheads.raw, rates: rates.raw, bullmq: queue, streams: streams.raw },
  };
}

/** In rounds, so that all meet the same noise of the machine. */
async function measureOverheads(ours: Target, theirs: Target, direct: Target): Promise<Measured> {
  const work = { work_ms: workMs, chunks: 1, every_ms: 0 };
  const rows: Row[] = [];
  const raw: Record<string, unknown> = {};
  for (const concurrency of concurrencies) {
    const samples = { ours: [] as number[], theirs: [] as number[], direct: [] as number[], timer: [] as number[] };
    const size = { count: Math.ceil(callsPerStep / rounds), concurrency };
    for (let round = 0; round < rounds; round++) {
      samples.direct.push(...(await callMany(direct, work, size)).samples);
      samples.theirs.push(...(await callMany(theirs, work, size)).samples);
      samples.ours.push(...(await callMany(ours, work, size)).samples);
      samples.timer.push(...(await waitMany(size)));
    }
    const median = (of: number[]) => summarize(of).median;
    const [mine, peers] = [
      median(samples.ours) - median(samples.timer),
      median(samples.theirs) - median(samples.direct),
    ];
    rows.push({
      what: `overhead of one call of ${workMs} ms at concurrency ${concurrency}, median`,
      unit: "ms",
      ours: round(mine),
      theirs: round(peers),
      ratio: round(mine / peers),
      beside: portkey,
      goals: [{ of: "ratio", is: "<", value: 1 }],
    });
    raw[`concurrency ${concurrency}`] = samples;
  }
  return { rows, raw };
}

async function measureRates(ours: Target, theirs: Target): Promise<Measured> {
  const work = { work_ms: 0, chunks: 1, every_ms: 0 };
  const size = { count: 1_000, concurrency: 32 };
  const rates = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    rates.theirs.push((size.count / (await callMany(theirs, work, size)).wholeMs) * 1_000);
    rates.ours.push((size.count / (await callMany(ours, work, size)).wholeMs) * 1_000);
  }
  const [mine, peers] = [summarize(rates.ours).median, summarize(rates.theirs).median];
  const row: Row = {
    what: "calls without work at concurrency 32",
    unit: "requests/s",
    ours: round(mine),
    theirs: round(peers),
    ratio: round(mine / peers),
    beside: portkey,
    goals: [{ of: "ratio", is: ">", value: 1 }],
  };
  return { rows: [row], raw: rates };
}

/** Ours is a process that speaks as `claude` does; the pieces carry the time at which they were said. */
async function measureStreams(ours: Target, theirs: Target): Promise<Measured> {
  const paced: Record<"ours" | "theirs", StreamTimes[]> = { ours: [], theirs: [] };
  const flood: Record<"ours" | "theirs", StreamTimes[]> = { ours: [], theirs: [] };
  for (let round = 0; round < rounds * 3; round++) {
    for (const [name, target] of [
      ["ours", ours],
      ["theirs", theirs],
    ] as const) {
      paced[name].push(await streamOnce(target, { work_ms: 0, chunks: 100, every_ms: 5 }));
      flood[name].push(await streamOnce(target, { work_ms: 0, chunks: 5_000, every_ms: 0 }));
    }
  }
  const delays = (of: StreamTimes[]) => summarize(of.flatMap((stream) => stream.delays));
  const compare = (what: string, unit: Row["unit"], mine: number, peers: number): Row => ({
    ...{ what, unit, ours: round(mine), theirs: round(peers), ratio: round(mine / peers), beside: portkey },
  });
  const median = (of: StreamTimes[], key: "firstMs" | "chunksPerSecond") => summarize(of.map((s) => s[key])).median;
  return {
    rows: [
      compare(
        "streaming: delay of the first piece, median",
        "ms",
        median(paced.ours, "firstMs"),
        median(paced.theirs, "firstMs"),
      ),
      compare(
        "streaming, a piece each 5 ms: delay of a piece, median",
        "ms",
        delays(paced.ours).median,
        delays(paced.theirs).median,
      ),
      compare(
        "streaming, a piece each 5 ms: delay of a piece, p99",
        "ms",
        delays(paced.ours).p99,
        delays(paced.theirs).p99,
      ),
      compare(
        "streaming 5,000 pieces as fast as they come",
        "chunks/s",
        median(flood.ours, "chunksPerSecond"),
        median(flood.theirs, "chunksPerSecond"),
      ),
    ],
    raw: { paced, flood: { ours: flood.ours.map(withoutDelays), theirs: flood.theirs.map(withoutDelays) } },
  };
}

interface Measured {
  rows: Row[];
  raw: Record<string, unknown>;
}

const withoutDelays = ({ firstMs, chunksPerSecond }: StreamTimes) => ({ firstMs, chunksPerSecond });

async function warmUp(target: Target): Promise<void> {
  await callMany(target, { work_ms: 0, chunks: 1, every_ms: 0 }, { count: 200, concurrency: 8 });
}

async function waitMany({ count, concurrency }: { count: number; concurrency: number }): Promise<number[]> {
  const samples: number[] = [];
  const wait = async () => {
    while (samples.length < count) {
      const startedAt = now();
      await sleep(workMs);
      samples.push(now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, wait));
  return samples;
}

interface DaemonAccess {
  readonly url: string;
  readonly token: string;
}

const chat = "/v1/chat/completions";

/** The echo runner: one word, after a wait. */
function echoOf({ url, token }: DaemonAccess): Target {
  return {
    url: url + chat,
    headers: { authorization: `Bearer ${token}` },
    body: ({ work_ms }: Work) => ({
      model: "echo",
      messages: [{ role: "user", content: "hello" }],
      metadata: { echo: JSON.stringify({ delay_ms: work_ms }) },
    }),
  };
}

/** The claude runner with the agent of these benchmarks in the place of `claude`. */
function agentOf({ url, token }: DaemonAccess): Target {
  return { ...echoOf({ url, token }), body: (work) => ({ model: "sonnet", ...promptOf(work) }) };
}

function providerOf(url: string): Target {
  return { url: `${url}${chat}`, headers: {}, body: (work) => ({ model: "bench", ...promptOf(work) }) };
}

function portkeyOf({ line }: PeerProcess, upstreamUrl: string): Target {
  const headers = {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `${upstreamUrl}/v1`,
    authorization: "Bearer none",
  };
  return { ...providerOf(line), headers };
}

function promptOf(work: Work) {
  return { messages: [{ role: "user", content: JSON.stringify(work) }] };
}

async function startUpstream(): Promise<PeerProcess> {
  const file = fileURLToPath(new URL("../agent/upstream.mjs", import.meta.url));
  return await startPeer({ file: process.execPath, args: [file], isReady: (line) => line.startsWith("http://") });
}

/** On a port that was free a moment ago: it takes no 0. */
async function startPortkey(): Promise<PeerProcess> {
  const modules = await installPeer("@portkey-ai/gateway", portkeyVersion);
  const preload = fileURLToPath(new URL("../agent/forgiving-headers.mjs", import.meta.url));
  const port = await findFreePort();
  const peer = await startPeer({
    file: process.execPath,
    args: ["--import", preload, `${modules}/@portkey-ai/gateway/build/start-server.js`, `--port=${port}`, "--headless"],
    isReady: (line) => line.includes("Ready for connections"),
  });
  return { ...peer, line: `http://127.0.0.1:${port}` };
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
