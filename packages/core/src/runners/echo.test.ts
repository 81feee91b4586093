import { KsiError } from "@ksi/contract";
import { expect, test } from "vitest";
import { startRunnerBench } from "../testing/runner-bench.ts";
import { createEchoRunner } from "./echo.ts";

const echo = createEchoRunner();

test("the prompt comes back word by word, and as the result", async () => {
  await using bench = await startRunnerBench();
  const prompt = "  What is\n2+2?  ";
  const turn = bench.start(echo, { prompt });
  expect(await turn.outcome).toMatchObject({ result: prompt, model: "echo", num_turns: 1 });
  expect(turn.events.map(({ payload }) => payload)).toEqual([
    { text: "  " },
    { text: "What " },
    { text: "is\n" },
    { text: "2+2?  " },
  ]);
  expect(turn.handed).toHaveLength(1);
});

test("a prompt of a megabyte is a bounded number of events that add up to it", async () => {
  await using bench = await startRunnerBench();
  const prompt = "word ".repeat(200_000);
  const turn = bench.start(echo, { prompt });
  await turn.outcome;
  expect(turn.events.length).toBeLessThanOrEqual(4_000);
  expect(turn.text()).toBe(prompt);
});

test("metadata.echo adds a tool, a delay and a failure", async () => {
  await using bench = await startRunnerBench();
  const script = { delay_ms: 1, tool: { name: "Bash", input: { command: "ls" }, result: "a b" }, fail: "MAX_TURNS" };
  const turn = bench.start(echo, { prompt: "one two", metadata: { echo: script } });
  await expect(turn.outcome).rejects.toMatchObject({ code: "MAX_TURNS" });
  expect(turn.events.map(({ event_type }) => event_type)).toEqual([
    "run.tool_use",
    "run.tool_result",
    "run.text",
    "run.text",
  ]);
});

test("a script that cannot be followed is refused by the name of its field", async () => {
  await using bench = await startRunnerBench();
  const turn = bench.start(echo, { metadata: { echo: { delay_ms: "soon" } } });
  await expect(turn.outcome).rejects.toMatchObject({
    code: "INVALID_INPUT",
    details: { issues: [{ path: "metadata.echo.delay_ms" }] },
  });
  expect(turn.handed).toEqual([]);
});

test("with a schema, the prompt must be JSON that satisfies it", async () => {
  await using bench = await startRunnerBench();
  const output_schema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] };
  expect(await bench.start(echo, { output_schema, prompt: '{"n": 4}' }).outcome).toMatchObject({ output: { n: 4 } });
  for (const prompt of ["four", '{"n": "four"}']) {
    await expect(bench.start(echo, { output_schema, prompt }).outcome).rejects.toMatchObject({
      code: "OUTPUT_INVALID",
    });
  }
});

test("a turn that is ended rejects with the signal's reason, also in the middle of a delay", async () => {
  await using bench = await startRunnerBench();
  const turn = bench.start(echo, { metadata: { echo: { delay_ms: 60_000 } } });
  const reason = new KsiError("RUN_CANCELLED", "cancelled");
  turn.abort(reason);
  await expect(turn.outcome).rejects.toBe(reason);
  await turn.ended;
});

test("a probe says that it is a demo", async () => {
  expect(await echo.probe()).toMatchObject({ available: true, advice: expect.stringContaining("demo") });
});
