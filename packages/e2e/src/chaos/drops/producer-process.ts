/**
 * Appends by the ways that KSI itself has, straight to Redis: a worker whose agents say what they are told to, and a core
 * with a small cap that publishes to the firehose. `node producer-process.ts REDIS_URL FOLDER RUNS FIREHOSE_CAP`.
 */
import { setImmediate } from "node:timers/promises";
import { type Runner, startCore, startStore, startWorker, type TurnEvent, type TurnOutcome } from "@ksi/core";
import { until } from "@ksi/testing";
import { silentLogger as logger } from "../silent-logger.ts";
import type { Answer, Burst, Order } from "./producer.ts";

const [redisUrl = "", folder = "", runsText, capText] = process.argv.slice(2);
const runCount = Number(runsText);
const dayMs = 86_400_000;

interface Talker {
  readonly emit: (event: TurnEvent) => void;
  readonly complete: (outcome: TurnOutcome) => void;
  said: number;
}

const talkers = new Map<string, Talker>();
let published = 0;

const runner: Runner = {
  name: "drops",
  models: ["drops"],
  takesImages: false,
  serves: (model) => model === "drops",
  probe: () => Promise.resolve({ name: "drops", available: true, models: ["drops"] }),
  start({ run_id }, { signal, emit, promptHanded }) {
    const { promise: outcome, resolve: complete, reject } = Promise.withResolvers<TurnOutcome>();
    signal.addEventListener("abort", () => {
      reject(signal.reason);
      send({ failed: `the run ${run_id} was ended: ${signal.reason}` });
    });
    void promptHanded().then(() => talkers.set(run_id, { emit, complete, said: 0 }));
    return { outcome, ended: outcome.then(ignore, ignore) };
  },
};

process.on("disconnect", () => process.exit(1));
const store = await startStore({ url: redisUrl, logger });
const common = { store, logger, runners: [runner], roots: [folder] };
const history = { maxEvents: 10_000_000, maxAgeMs: dayMs };
const coreOptions = {
  ...common,
  defaultModel: "drops",
  runTimeoutMs: dayMs,
  version: "0.0.0-chaos",
  onShutdown: () => undefined,
};
const core = await startCore({ ...coreOptions, history });
const capped = await startCore({ ...coreOptions, history: { ...history, maxEvents: Number(capText) } });
const worker = await startWorker({ ...common, history, concurrency: runCount, tools: [], logDir: `${folder}/logs` });

const run_ids: string[] = [];
for (let i = 0; i < runCount; i++) {
  const run = await core.ports().runs.spawn({ prompt: "talk", model: "drops", enable_tools: false, priority: 50 });
  run_ids.push(run.run_id);
}
await until(() => talkers.size === runCount, { deadlineMs: 30_000, message: "all runs have started" });
process.on("message", (order: Order) => {
  carryOut(order).then(
    () => send({ done: true }),
    (error: unknown) => send({ failed: String(error) }),
  );
});
send({ run_ids });

async function carryOut(order: Order): Promise<void> {
  if (order !== "finish") return append(order.burst);
  for (const [run_id, { complete, said }] of talkers) {
    complete({ result: `said ${said}`, model: "drops", raw: { type: "result", run_id } });
  }
  await until(() => worker.activeRuns === 0, { deadlineMs: 60_000, message: "all runs are released" });
}

async function append({ runs, firehose }: Burst): Promise<void> {
  const publishing = publish(firehose);
  const left = [...runs];
  // In turn, so that one script call has events of many channels.
  while (left.some((count) => count > 0)) {
    for (const [i, run_id] of run_ids.entries()) {
      const some = Math.min(left[i] ?? 0, 50);
      left[i] = (left[i] ?? 0) - some;
      say(run_id, some);
    }
    await setImmediate();
  }
  await publishing;
}

/** Uses of a tool, since of text the worker joins what waits. */
function say(run_id: string, count: number): void {
  const talker = talkers.get(run_id);
  if (!talker) throw new Error(`no run ${run_id}`);
  for (let i = 0; i < count; i++) {
    const n = ++talker.said;
    talker.emit({ event_type: "run.tool_use", payload: { tool_use_id: `t${n}`, name: "drops", input: contentOf(n) } });
  }
}

async function publish(count: number): Promise<void> {
  const publishing = [];
  for (let i = 0; i < count; i++) {
    published += 1;
    const input = { source: "drops", event_type: "x.drops", payload: contentOf(published) };
    publishing.push(capped.ports().events.publish(input));
  }
  await Promise.all(publishing);
}

/** Of sizes that give frames with each of the three lengths of a header. */
function contentOf(n: number): { n: number; pad: string } {
  return { n, pad: "x".repeat(n % 997 === 0 ? 70_000 : n % 100) };
}

function send(answer: Answer): void {
  process.send?.(answer);
}

function ignore(): void {
  // The outcome says how it went.
}
