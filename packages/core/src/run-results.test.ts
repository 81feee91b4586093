import { isFinalRunEvent, type RunEvent } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { type FreshCore, spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner, type ManualTurn } from "./testing/manual-runner.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

test("a session's results say flatly how each run ended, and are published as they are stored", async () => {
  const manual = createManualRunner();
  await using fresh = await startFreshCore({ runners: [manual] });
  await using heard = await listen(fresh, channels.results(session_id));
  await fresh.startWorker();
  const { runs } = fresh.ports;
  const run = async (act: (turn: ManualTurn) => void, more: object = {}) => {
    const turns = manual.turns.length;
    const { run_id } = await runs.spawn({ ...spawnDefaults, session_id, model: "manual", prompt: "x", ...more });
    await until(() => manual.turns.length > turns);
    act(manual.turns[turns] as ManualTurn);
    return await runs.result({ run_id, wait_ms: 10_000 });
  };

  const ended = [
    await run((turn) => turn.complete("said")),
    await run((turn) => turn.complete('{"n": 1}', { output: { n: 1 } })),
    await run((turn) => turn.complete("null", { output: null })),
    await run((turn) => turn.fail(new KsiError("RUNNER_CRASHED", "It fell over.", { details: { run_id: "x" } }))),
    await run(() => undefined, { timeout_ms: 20 }),
    await run((turn) => void runs.cancel({ run_id: turn.turn.run_id, reason: "enough" })),
  ];
  const completed = { status: "completed", error: null };
  const without = { output: null };
  const expected = [
    { ...completed, output: "said" },
    { ...completed, output: { n: 1 } },
    { ...completed, output: null },
    { ...without, status: "failed", error: { code: "RUNNER_CRASHED", message: "It fell over." } },
    { ...without, status: "timed_out", error: { code: "RUN_TIMED_OUT", message: expect.any(String) } },
    { ...without, status: "cancelled", error: { code: "RUN_CANCELLED", message: expect.stringContaining("enough") } },
  ];
  const stored = await entriesIn(fresh, channels.results(session_id));
  const firehose = (await entriesIn(fresh, channels.firehose)).map(([, json]) => JSON.parse(json) as RunEvent);
  const finals = firehose.filter(isFinalRunEvent);
  expect(stored.map(([, json]) => JSON.parse(json))).toEqual(
    expected.map((fields, i) => {
      const { run_id } = ended[i] ?? {};
      return { id: finals[i]?.id, session_id, run_id, timestamp: finals[i]?.timestamp, ...fields };
    }),
  );
  await until(() => heard.messages.length === expected.length);
  expect(heard.messages).toEqual(stored.map(([id, json]) => `${id.replace("-", ".")} ${json}`));
});

/** A plain client of Redis that hears what is published to a channel. */
async function listen(fresh: FreshCore, channel: string) {
  const client = fresh.store.commands.duplicate();
  const messages: string[] = [];
  client.on("message", (_channel, message) => messages.push(message));
  await client.subscribe(fresh.store.keys.tenant().channel(channel));
  return { messages, [Symbol.asyncDispose]: async () => client.disconnect() };
}

async function entriesIn(fresh: FreshCore, channel: string): Promise<[id: string, json: string][]> {
  const entries = await fresh.store.commands.xrange(fresh.store.keys.tenant().channel(channel), "-", "+");
  return entries.map(([id, [, json = ""]]) => [id, json]);
}
