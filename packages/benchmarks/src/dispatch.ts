/**
 * How long from `runs.spawn` to the agent's first byte of input, beyond the bare start of its process; and how long
 * from the agent's result line to the client that follows the run? Beside them: bare BullMQ, from add to start.
 */
import { createTempFolder } from "@ksi/testing";
import { startBareBullmq } from "./bare-bullmq.ts";
import { type BenchDaemon, startBenchDaemon } from "./daemon.ts";
import { type AgentTimes, runDirectly } from "./direct.ts";
import type { Answer } from "./question.ts";
import { now, round, summarize } from "./stats.ts";

const runs = 200;
const prompt = JSON.stringify({ turn_ms: 0 });

export async function measureDispatch(): Promise<Answer> {
  await using folder = await createTempFolder();
  await using daemon = await startBenchDaemon(folder.path);
  await using bareBullmq = await startBareBullmq();
  await followOneRun(daemon); // loads what the daemon loads lazily
  await bareBullmq.addToStart();
  const byDaemon: number[] = [];
  const byHand: number[] = [];
  const bullmq: number[] = [];
  const done: number[] = [];
  // In turn, so that all three meet the same machine: caches gone cold during an agent's start, and its noise.
  for (let run = 0; run < runs; run++) {
    const hand = await runDirectly(prompt);
    byHand.push(hand.first_byte_at - hand.asked_at);
    const { askedAt, seenAt, times } = await followOneRun(daemon);
    byDaemon.push(times.first_byte_at - askedAt);
    done.push(seenAt - times.result_at);
    await runDirectly(prompt);
    bullmq.push(await bareBullmq.addToStart());
  }
  const [daemonStart, handStart, bare] = [summarize(byDaemon), summarize(byHand), summarize(bullmq)];
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
        goals: [{ of: "ours", is: "≤", value: 5 }],
      },
    ],
    raw: { byDaemon, byHand, bullmq, done },
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
