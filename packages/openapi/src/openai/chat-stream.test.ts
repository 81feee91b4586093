import { setImmediate } from "node:timers/promises";
import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { chatCompletionChunk } from "./chat-schemas.ts";
import type { OpenAiOptions } from "./options.ts";
import { createOpenAiRoutes } from "./routes.ts";
import { ask, contentOf, hello, readFrames, readWrites } from "./testing/ask.ts";
import { createFakePorts, type FakeRun } from "./testing/fake-ports.ts";

const streaming = { ...hello, stream: true };
const withUsage = { stream_options: { include_usage: true } };
const usage = { input_tokens: 3, output_tokens: 5 };

/** A whole streamed answer of a run that is over at once, and the same run's answer in one piece. */
async function streamOf(play: (run: FakeRun) => void, body: object = {}) {
  const handler = createOpenAiRoutes(createFakePorts(play));
  const response = await ask(handler, { ...streaming, ...body });
  const frames = readFrames(await response.text());
  const whole = await (await ask(handler, { ...hello, ...body })).json();
  return { frames, content: contentOf(frames), whole: whole.choices?.[0]?.message.content };
}

/** A stream that the test drives. */
async function openStream(options: OpenAiOptions = {}, body: object = {}) {
  const fake = createFakePorts();
  const answering = ask(createOpenAiRoutes(fake, options), { ...streaming, ...body });
  const run = await until(() => fake.spawned[0]);
  return { fake, run, answering };
}

test("the role comes first, then each delta, then why it ended, then the end", async () => {
  const { frames } = await streamOf((run) => {
    run.start();
    run.say("Hel", "lo");
    run.complete({ model: "echo-2" });
  });
  const chunks = frames.slice(0, -1).map((frame) => chatCompletionChunk.strict().parse(frame));
  expect(chunks.map(({ choices }) => [choices[0]?.delta, choices[0]?.finish_reason])).toEqual([
    [{ role: "assistant", content: "" }, null],
    [{ content: "Hel" }, null],
    [{ content: "lo" }, null],
    [{}, "stop"],
  ]);
  expect(frames.at(-1)).toBe("data: [DONE]");
  expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
  expect(chunks[0]?.metadata).toMatchObject({ run_id: expect.stringMatching(/^run-/) });
  expect(chunks.at(-1)?.metadata).toMatchObject({ model: "echo-2" });
  expect(chunks[1]).not.toHaveProperty("usage");
});

test("the head says that it is a stream, and whose", async () => {
  const { run, answering } = await openStream();
  run.start();
  run.say("x");
  const { status, headers, body } = await answering;
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(headers.get("x-accel-buffering")).toBe("no");
  expect(headers.get("x-ksi-run-id")).toBe(run.run_id);
  expect(headers.get("x-ksi-session-id")).toBe(run.session_id);
  expect(headers.get("x-ksi-overhead-ms")).toMatch(/^\d+\.\d$/);
  await body?.cancel();
});

test("usage is a last chunk without choices, and null before, if it is asked for and known", async () => {
  const { frames } = await streamOf((run) => run.complete({ result: "x", usage }), withUsage);
  const [last, ...before] = frames
    .slice(0, -1)
    .map((frame) => chatCompletionChunk.parse(frame))
    .toReversed();
  expect(last).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 } });
  expect(before.map((chunk) => chunk.usage)).toEqual([null, null, null]);

  const unknown = await streamOf((run) => run.complete({ result: "x" }), withUsage);
  expect(unknown.frames.filter((frame) => JSON.stringify(frame).includes('"choices":[]'))).toEqual([]);
  const unasked = await streamOf((run) => run.complete({ result: "x", usage }));
  expect(JSON.stringify(unasked.frames)).not.toContain("usage");
});

test("deltas are sent as they come, and those that are there at once share a write", async () => {
  const { run, answering } = await openStream();
  run.say("one ");
  const { next } = readWrites(await answering);
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("one ");
  run.say("two ");
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("two ");
  run.say("three ", "four ", "five");
  const shared = readFrames((await next()) ?? "");
  expect(shared).toHaveLength(3);
  expect(contentOf(shared)).toBe("three four five");
  run.complete();
  expect(await next()).toContain("[DONE]");
  expect(await next()).toBeUndefined();
});

test("an early failure has its true status, also where the agent had just begun", async () => {
  const { run, answering } = await openStream();
  run.start();
  run.emit("run.thinking", { text: "hm" });
  run.say("I");
  run.fail({ code: "MODEL_OVERLOADED", message: "Too much to do." });
  const response = await answering;
  expect(response.status).toBe(503);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect(await response.json()).toMatchObject({ error: { code: "model_overloaded" } });
});

test("a tool that is used opens the stream", async () => {
  const { run, answering } = await openStream({ openingMs: 60_000 });
  run.useTool();
  const { next, cancel } = readWrites(await answering);
  expect(readFrames((await next()) ?? "")).toHaveLength(1);
  await cancel();
});

test("an agent that is silent for too long opens the stream too, and the wait is filled with comments", async () => {
  const { run, answering } = await openStream({ openingMs: 20, keepAliveMs: 20 });
  run.start();
  const { next } = readWrites(await answering);
  expect(await next()).toContain('"role":"assistant"');
  expect(await next()).toBe(": keep-alive\n\n");
  // What the client does not hear of is no sign of life to it.
  const thinking = setInterval(() => run.emit("run.thinking", { text: "hm" }), 2);
  expect(await next()).toBe(": keep-alive\n\n");
  clearInterval(thinking);
  run.complete({ result: "at last" });
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("at last");
});

test.each([
  ["run.failed", "RUNNER_CRASHED"],
  ["run.cancelled", "RUN_CANCELLED"],
  ["run.timed_out", "RUN_TIMED_OUT"],
] as const)("%s midway is a last chunk with the error, and no end", async (event_type, code) => {
  const { run, answering } = await openStream();
  run.say("half");
  const response = await answering;
  run.emit(event_type, { error: { code, message: "It broke." } });
  const frames = readFrames(await response.text());
  expect(contentOf(frames)).toBe("half");
  expect(frames.at(-1)).toMatchObject({ error: { code: code.toLowerCase(), message: "It broke." } });
  expect(frames).not.toContain("data: [DONE]");
});

test("a run that can no longer be followed is an error midway, and the run is cancelled", async () => {
  const { fake, run, answering } = await openStream();
  run.say("half");
  const response = await answering;
  fake.failures.iteration = new KsiError("HISTORY_TRIMMED", "There is a hole.");
  run.say(" more");
  expect(readFrames(await response.text()).at(-1)).toMatchObject({ error: { code: "history_trimmed" } });
  expect(fake.cancelled).toHaveLength(1);
});

test("a wait that is too long is an error midway", async () => {
  const { fake, run, answering } = await openStream({ maxWaitMs: 50 });
  run.say("half");
  const response = await answering;
  expect(readFrames(await response.text()).at(-1)).toMatchObject({ error: { code: "timeout" } });
  expect(fake.cancelled).toHaveLength(1);
});

test("without deltas the result is sent as one", async () => {
  const { content, whole } = await streamOf((run) => run.complete({ result: "all at once" }));
  expect([content, whole]).toEqual(["all at once", "all at once"]);
});

test("what an agent says between its tools is streamed too, and the stream ends with the answer in one piece", async () => {
  const play = (run: FakeRun) => {
    run.say("Let me", " look.");
    run.useTool();
    run.useTool();
    run.say("It is 4. ", "END of it");
    run.complete();
  };
  const { content, whole } = await streamOf(play);
  expect(content).toBe("Let me look.\n\nIt is 4. END of it");
  expect(whole).toBe("It is 4. END of it");

  const cut = await streamOf(play, { stop: ["END", "me"] });
  expect(cut.content).toBe("Let \n\nIt is 4. ");
  expect(cut.whole).toBe("It is 4. ");
});

test("a stop sequence cuts the stream though it comes in pieces, and its start alone does not", async () => {
  const play = (run: FakeRun) => {
    run.say("one E", "N", "D two");
    run.complete({ usage, stop_reason: "max_tokens" });
  };
  const cut = await streamOf(play, { stop: "END", ...withUsage });
  expect(cut.content).toBe("one ");
  expect(JSON.stringify(cut.frames)).toContain('"finish_reason":"stop"');
  expect(JSON.stringify(cut.frames)).toContain('"total_tokens":8');

  const kept = await streamOf(play, { stop: "END two three" });
  expect(kept.content).toBe("one END two");
  expect(JSON.stringify(kept.frames)).toContain('"finish_reason":"length"');
});

test("the start of a stop sequence is not held back beyond the end of what is said", async () => {
  const before = await streamOf(
    (run) => {
      run.say("one E");
      run.useTool();
      run.say("ND two");
      run.complete();
    },
    { stop: "END" },
  );
  expect(before.content).toBe("one E\n\nND two");

  const { run, answering } = await openStream({}, { stop: "END" });
  run.say("half E");
  const response = await answering;
  run.fail({ code: "RUNNER_CRASHED", message: "It broke." });
  expect(contentOf(readFrames(await response.text()))).toBe("half E");
});

test("text that the agent takes back before it was sent is forgotten", async () => {
  const play = (run: FakeRun) => {
    run.say("one ", "E", "ND");
    run.retract(6);
    run.say("two");
    run.complete();
  };
  expect((await streamOf(play)).content).toBe("otwo");
  expect((await streamOf(play, { stop: "END" })).content).toBe("otwo");

  const { run, answering } = await openStream();
  run.start();
  run.say("void");
  run.retract(4);
  // Long enough for the stream to open, if it took the void text for a sign of an answer.
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  run.fail({ code: "MODEL_OVERLOADED", message: "Too much to do." });
  expect((await answering).status).toBe(503);
});

test("text that was sent and is said anew in the same words is sent once", async () => {
  const { run, answering } = await openStream();
  run.say("Let me look. ");
  const { next } = readWrites(await answering);
  await next();
  run.useTool();
  run.say("answer ", "number ");
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("\n\nanswer number ");
  run.retract(7);
  run.retract(7);
  run.say("answer num", "ber 1");
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("1");
  run.complete();
  expect(await next()).toContain("[DONE]");
});

test("stop sequences are looked for in what is left and what is said anew", async () => {
  const { run, answering } = await openStream({}, { stop: "END" });
  run.say("one EN");
  const { next } = readWrites(await answering);
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("one ");
  run.retract(6);
  run.say("one E", "agle END two");
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("Eagle ");
  // Also the one that was found before can be taken back.
  run.retract(8);
  run.say(" and more");
  expect(contentOf(readFrames((await next()) ?? ""))).toBe("and more");
  run.complete();
  expect(await next()).toContain('"finish_reason":"stop"');
});

test.each([
  ["other words", (run: FakeRun) => run.say("num", "erals")],
  ["a tool", (run: FakeRun) => run.useTool()],
  ["an end that comes too early", (run: FakeRun) => run.complete()],
])("an answer that was taken back and goes on with %s is an error midway, and its run goes on", async (_, goOn) => {
  const { fake, run, answering } = await openStream();
  run.say("answer number");
  const response = await answering;
  const { next } = readWrites(response);
  await next();
  run.retract(6);
  goOn(run);
  const frames = readFrames((await next()) ?? "");
  expect(frames.at(-1)).toMatchObject({ error: { code: "model_error", message: expect.stringContaining("anew") } });
  expect(contentOf(frames)).toBe("");
  expect(await next()).toBeUndefined();
  await until(() => run.followers === 0);
  expect(fake.cancelled).toEqual([]);
});

test("a run that fails after it took text back is told as it failed", async () => {
  const { run, answering } = await openStream({}, { stop: "END" });
  run.say("answer E");
  const response = await answering;
  run.retract(8);
  run.fail({ code: "RUNNER_CRASHED", message: "It broke." });
  const frames = readFrames(await response.text());
  expect(contentOf(frames)).toBe("answer ");
  expect(frames.at(-1)).toMatchObject({ error: { code: "runner_crashed" } });
});

test("JSON is not touched by what the agent takes back", async () => {
  const { content } = await streamOf(
    (run) => {
      run.say("Here");
      run.retract(4);
      run.say("There");
      run.complete({ output: { n: 4 } });
    },
    { response_format: { type: "json_object" } },
  );
  expect(content).toBe('{"n":4}');
});

test("JSON is sent when it is known to be right, and not before", async () => {
  const response_format = { type: "json_object" };
  const { content, whole } = await streamOf(
    (run) => {
      run.say("Here it is:");
      run.useTool();
      run.complete({ output: { n: 4 } });
    },
    { response_format },
  );
  expect([content, whole]).toEqual(['{"n":4}', '{"n":4}']);

  const handler = createOpenAiRoutes(createFakePorts((run) => run.complete({ result: "no JSON" })));
  expect((await ask(handler, { ...streaming, response_format })).status).toBe(422);
});

test("a history that lost its beginning is replaced by the result, and not sent with a hole", async () => {
  const play = (run: FakeRun) => {
    run.say("one ", "two");
    run.complete();
    (run.events as unknown[]).splice(0, 2);
  };
  expect((await streamOf(play)).content).toBe("one two");
});

test("no more is read from the run than the client takes", async () => {
  const { run, answering } = await openStream();
  run.say("first");
  const { next } = readWrites(await answering);
  run.say(...Array.from({ length: 1_000 }, () => "x"));
  run.complete();
  let writes = 0;
  let largest = 0;
  for (let text = await next(); text !== undefined; text = await next()) {
    writes += 1;
    largest = Math.max(largest, readFrames(text).length);
  }
  expect(writes).toBeGreaterThan(15);
  expect(largest).toBeLessThanOrEqual(70);
});
