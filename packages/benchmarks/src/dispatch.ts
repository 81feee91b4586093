/**
 * How long from `runs.spawn` to the agent's first byte of input, beyond the bare start of its process; and how long
 * from the agent's result line to the client that follows the run? Beside them: bare BullMQ, from add to start.
 */
import { once } from "node:events";
import { startStore } from "@ksi/core";
import { createTempFolder, type TempFolder } from "@ksi/testing";
import { Queue, Worker } from "bullmq";
import { type BenchDaemon, startBenchDaemon } from "./daemon.ts";
import { type AgentTimes, runDirectly } from "./direct.ts";
import type { Answer } from "./question.ts";
import { now, round, summarize } from "./stats.ts";

const runs = 200;
const prompt = JSON.stringify({ turn_ms: 0 });

export async function measureDispatch(): Promise<Answer> {
  await using folder = await createTempFolder();
  await using daemon = await startBenchDaemon(folder.path);
  await followOneRun(daemon); // loads what the daemon loads lazily
  const startedBy: Record<"daemon" | "hand", number[]> = { daemon: [], hand: [] };
  const done: number[] = [];
  for (let run = 0; run < runs; run++) {
    const byHand = await runDirectly(prompt);
    startedBy.hand.push(byHand.first_byte_at - byHand.asked_at);
    const { askedAt, seenAt, times } = await followOneRun(daemon);
    startedBy.daemon.push(times.first_byte_at - askedAt);
    done.push(seenAt - times.result_at);
  }
  const bullmq = await measureBareBullmq();
  const [daemonStart, handStart, bare] = [startedBy.daemon, startedBy.hand, bullmq].map(summarize);
  if (!daemonStart || !handStart || !bare) throw new Error("nothing was measured");
  const dispatch = round(daemonStart.median - handStart.median);
  return {
    question: "From spawn to the agent, and from its result to the client",
    rows: [
      {
        what: "runs.spawn to the agent's first byte of input, less a bare process start, median",
        unit: "ms",
        ours: dispatch,
        theirs: bare.median,
        ratio: round(dispatch / bare.median),
        beside: "bare BullMQ, add to start of the job",
      },
      {
        what: "result line to the following client, median",
        unit: "ms",
        ours: summarize(done).median,
        beside: "no peer: includes the durable write of the result",
      },
      {
        what: "result line to the following client, p99",
        unit: "ms",
        ours: summarize(done).p99,
        beside: "no peer: includes the durable write of the result",
        goal: "≤ 5",
      },
    ],
    raw: { ...startedBy, done, bullmq },
  };
}

async function followOneRun(daemon: BenchDaemon): Promise<{ askedAt: number; seenAt: number; times: AgentTimes }> {
  const askedAt = now();
  const run = await daemon.client.run({ prompt, model: "sonnet" });
  for await (const event of run.events()) {
    if (event.event_type !== "run.completed") continue;
    return { askedAt, seenAt: now(), times: JSON.parse(event.payload.result) as AgentTimes };
  }
  throw new Error(`run ${run.run_id} did not complete`);
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A queue and a worker on an embedded Redis of the same settings, each with its own connection. */
async function measureBareBullmq(): Promise<number[]> {
  await using folder: TempFolder = await createTempFolder();
  const store = await startStore({ dir: folder.path, logger: silent });
  const samples: number[] = [];
  const worker = new Worker("bench", async (job) => samples.push(now() - (job.data as { addedAt: number }).addedAt), {
    connection: store.connect("bench-worker", "queue"),
  });
  const queue = new Queue("bench", { connection: store.connect("bench-queue", "queue") });
  await worker.waitUntilReady();
  for (let job = 0; job < runs; job++) {
    const completed = once(worker, "completed");
    await queue.add("job", { addedAt: now() }, { removeOnComplete: true });
    await completed;
  }
  await worker.close();
  await queue.close();
  await store.close();
  return samples.slice(1);
}
