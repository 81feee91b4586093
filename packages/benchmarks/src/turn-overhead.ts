/** What does a turn of one second cost through the daemon, beside the same agent started by hand? */
import { createTempFolder } from "@ksi/testing";
import { startBenchDaemon } from "./daemon.ts";
import { runDirectly } from "./direct.ts";
import type { Answer } from "./question.ts";
import { now, round, summarize } from "./stats.ts";

const turns = 20;
const prompt = JSON.stringify({ turn_ms: 1000 });

export async function measureTurnOverhead(): Promise<Answer> {
  await using folder = await createTempFolder();
  await using daemon = await startBenchDaemon(folder.path);
  const direct: number[] = [];
  const through: number[] = [];
  const turnThroughDaemon = async () => {
    const askedAt = now();
    const run = await daemon.client.run({ prompt, model: "sonnet" });
    await run.result();
    return now() - askedAt;
  };
  await turnThroughDaemon(); // loads what the daemon loads lazily
  for (let turn = 0; turn < turns; turn++) {
    const { asked_at, answered_at } = await runDirectly(prompt);
    direct.push(answered_at - asked_at);
    through.push(await turnThroughDaemon());
  }
  const [ours, theirs] = [summarize(through), summarize(direct)];
  return {
    question: "A turn of one second, through the daemon and by hand",
    rows: [
      {
        what: "spawn to result, median",
        unit: "ms",
        ours: ours.median,
        theirs: theirs.median,
        ratio: round(ours.median / theirs.median),
        beside: "the same agent started by hand",
        goals: [{ of: "ratio", is: "≤", value: 1.02 }],
      },
    ],
    raw: { through, direct, summary: { ours, theirs } },
  };
}
