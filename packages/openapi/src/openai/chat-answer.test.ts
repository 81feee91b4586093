import { setTimeout as sleep } from "node:timers/promises";
import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { chatCompletion, openAiError } from "./chat-schemas.ts";
import { createOpenAiRoutes } from "./routes.ts";
import { ask, hello } from "./testing/ask.ts";
import { createFakePorts, type FakeRun } from "./testing/fake-ports.ts";

/** Asks once and gives the parsed answer with the run that it came from. */
async function answerOf(play: (run: FakeRun) => void, body: object = {}) {
  const fake = createFakePorts(play);
  const response = await ask(createOpenAiRoutes(fake), { ...hello, ...body });
  expect(response.status).toBe(200);
  const [run] = fake.spawned;
  if (!run) throw new Error("Nothing was spawned.");
  return { run, headers: response.headers, ...chatCompletion.strict().parse(await response.json()) };
}

async function refusalOf(play: (run: FakeRun) => void, body: object = {}) {
  const response = await ask(createOpenAiRoutes(createFakePorts(play)), { ...hello, ...body });
  const { error } = openAiError.parse(await response.json());
  return { status: response.status, headers: response.headers, ...error };
}

test("the answer is the run's result, under the run's id and with its session", async () => {
  const { run, headers, ...answer } = await answerOf((run) => {
    run.start();
    run.say("Hel", "lo");
    run.complete({ stop_reason: "end_turn" });
  });
  const { run_id, session_id } = run;
  expect(answer).toEqual({
    id: `chatcmpl-${run_id}`,
    object: "chat.completion",
    created: Date.parse("2026-01-02T03:04:05Z") / 1_000,
    model: "echo",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "Hello", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    metadata: { session_id, run_id },
  });
  expect(headers.get("x-ksi-session-id")).toBe(session_id);
  expect(headers.get("x-ksi-run-id")).toBe(run_id);
  expect(headers.get("content-type")).toMatch("application/json");
});

test("the model that answered is named where it has another name", async () => {
  const { model, metadata } = await answerOf((run) => run.complete({ model: "claude-sonnet-4-5" }), {
    model: "sonnet",
  });
  expect(model).toBe("sonnet");
  expect(metadata.model).toBe("claude-sonnet-4-5");
});

test("usage counts all input, with what came from the cache", async () => {
  const usage = {
    input_tokens: 3,
    output_tokens: 5,
    cache_read_input_tokens: 70,
    cache_creation_input_tokens: 100,
  };
  expect((await answerOf((run) => run.complete({ usage }))).usage).toEqual({
    prompt_tokens: 173,
    completion_tokens: 5,
    total_tokens: 178,
    prompt_tokens_details: { cached_tokens: 70 },
  });
});

test.each([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["something_new", "stop"],
  ["max_tokens", "length"],
  ["refusal", "content_filter"],
])("a run that stopped for %s finished for %s", async (stop_reason, finish_reason) => {
  const { choices } = await answerOf((run) => run.complete({ stop_reason }));
  expect(choices[0]?.finish_reason).toBe(finish_reason);
});

test("the text is cut before the first stop sequence, which is then why it ended", async () => {
  const play = (run: FakeRun) => run.complete({ result: "one two three", stop_reason: "max_tokens" });
  const { choices } = await answerOf(play, { stop: ["three", " two"] });
  expect(choices[0]).toMatchObject({ message: { content: "one" }, finish_reason: "stop" });
  expect((await answerOf(play, { stop: "four" })).choices[0]).toMatchObject({ finish_reason: "length" });
});

test("with a response format the content is the run's output as JSON", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } };
  const { run, choices } = await answerOf((run) => run.complete({ result: "Here:", output: { n: 4 } }), {
    response_format,
  });
  expect(choices[0]?.message.content).toBe('{"n":4}');
  expect(run.input.output_schema).toEqual({ type: "object" });
});

test("JSON that was asked for and is not there is an error, and not text", async () => {
  const missing = await refusalOf((run) => run.complete({ result: "Here:" }), {
    response_format: { type: "json_object" },
  });
  expect(missing).toMatchObject({ status: 422, code: "output_invalid", param: "response_format" });
});

test.each([
  ["MODEL_RATE_LIMITED", 429],
  ["RUNNER_CRASHED", 502],
  ["OUTPUT_INVALID", 422],
  ["STORE_UNAVAILABLE", 503],
] as const)("a run that failed with %s is answered %i, and not to be tried again", async (code, status) => {
  const failed = await refusalOf((run) => run.fail({ code, message: "The agent broke." }));
  expect(failed).toMatchObject({ status, code: code.toLowerCase(), message: "The agent broke." });
  expect(failed.headers.get("x-should-retry")).toBe("false");
  expect(failed.headers.get("x-ksi-run-id")).toMatch(/^run-/);
});

test("what is refused before a run was accepted may be tried again where that can help", async () => {
  const fake = createFakePorts();
  const handler = createOpenAiRoutes(fake);
  for (const [code, retry] of [
    ["SHUTTING_DOWN", "true"],
    ["STORE_UNAVAILABLE", "true"],
    ["RATE_LIMITED", "true"],
    ["CONFLICT", "false"],
    ["INTERNAL", "false"],
  ] as const) {
    fake.failures.spawn = new KsiError(code, "Not now.");
    const { headers } = await ask(handler, hello);
    expect([code, headers.get("x-should-retry")]).toEqual([code, retry]);
    expect(headers.has("x-ksi-run-id")).toBe(false);
  }
});

test("a run that cannot be followed is cancelled, since nobody will hear of it", async () => {
  const fake = createFakePorts();
  fake.failures.events = new KsiError("STORE_UNAVAILABLE", "Redis is away.");
  const response = await ask(createOpenAiRoutes(fake), hello);
  expect(response.status).toBe(503);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(fake.cancelled).toMatchObject([{ run_id: fake.spawned[0]?.run_id }]);
});

test("a repeat with the same key is the same answer, another body with it a conflict", async () => {
  const fake = createFakePorts((run) => run.complete({ result: "once" }));
  const handler = createOpenAiRoutes(fake);
  const headers = { "idempotency-key": "k" };
  const first = await (await ask(handler, hello, { headers })).json();
  expect(await (await ask(handler, hello, { headers })).json()).toEqual(first);
  expect(fake.spawned).toHaveLength(1);

  const other = await ask(handler, { ...hello, stop: "x" }, { headers });
  expect(other.status).toBe(409);
  expect(other.headers.get("x-should-retry")).toBe("false");
});

test("a repeat attaches to the turn while it is under way", async () => {
  const fake = createFakePorts();
  const handler = createOpenAiRoutes(fake);
  const headers = { "idempotency-key": "k" };
  const answers = [ask(handler, hello, { headers }), ask(handler, hello, { headers })];
  const [run] = await until(() => fake.spawned[0]?.followers === 2 && fake.spawned);
  run?.complete({ result: "both" });
  const [first, second] = await Promise.all(answers.map(async (answer) => (await answer).json()));
  expect(second).toEqual(first);
});

test("the time of the agent is not KSI's", async () => {
  const fake = createFakePorts();
  const askedAt = performance.now();
  const answering = ask(createOpenAiRoutes(fake), hello);
  const run = await until(() => fake.spawned[0]);
  run.start();
  // The agent's time is what is measured here, so it has to pass.
  await sleep(200);
  run.complete();
  const { headers } = await answering;
  const tookMs = performance.now() - askedAt;
  expect(Number(headers.get("openai-processing-ms"))).toBeGreaterThanOrEqual(195);
  // All of the rest may be KSI's: on a busy machine that is not little.
  expect(Number(headers.get("x-ksi-overhead-ms"))).toBeLessThan(tookMs - 150);
});

test("a wait that is too long cancels the run and is not to be repeated", async () => {
  const fake = createFakePorts((run) => run.start());
  const response = await ask(createOpenAiRoutes(fake, { maxWaitMs: 30 }), hello);
  expect(response.status).toBe(408);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(fake.cancelled).toMatchObject([{ reason: "the client waited for as long as is allowed", grace_ms: 300 }]);
});
