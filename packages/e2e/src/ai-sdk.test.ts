/** The AI SDK, by its provider for OpenAI-compatible servers, against a whole daemon. */
import { randomUUID } from "node:crypto";
import { until } from "@ksi/testing";
import { APICallError, generateText, Output, RetryError, streamText } from "ai";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { hearWords } from "./hear-words.ts";
import { startHeldDaemon } from "./held-daemon.ts";
import { watchConnections } from "./loopback-only.ts";
import { connectAiSdk, getRun, listRuns, startScriptedDaemon } from "./openai-clients.ts";

const connections = watchConnections();
const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());
const { daemon, claude } = live;
const ksi = connectAiSdk(daemon);
const model = ksi("sonnet");

/** The provider adds it to the body as it is. */
const inSession = (session_id: string) => ({ providerOptions: { ksi: { metadata: { session_id } } } });

describe("generateText", () => {
  test("gives the text, the agent's own numbers and the names of its session and run", async () => {
    const { text, finishReason, usage, response, warnings } = await generateText({ model, prompt: "hello there" });
    expect({ text, finishReason }).toEqual({ text: "hello there", finishReason: "stop" });
    expect(usage).toMatchObject({ inputTokens: 10, outputTokens: 5, totalTokens: 15 });
    expect(warnings).toEqual([]);
    const run = await getRun(daemon, response.headers?.["x-ksi-run-id"] ?? "");
    expect(run).toMatchObject({ status: "completed", session_id: response.headers?.["x-ksi-session-id"] });
    expect(response.id).toBe(`chatcmpl-${run.run_id}`);
  });

  test("of echo gives the prompt, and no usage", async () => {
    const { text, usage } = await generateText({ model: ksi("echo"), prompt: "hello there" });
    expect(text).toBe("hello there");
    expect(usage.totalTokens).toBeUndefined();
  });

  test("goes on with a session", async () => {
    const session = randomUUID();
    await generateText({ model, prompt: "my name is Ada", ...inSession(session) });
    const { text } = await generateText({ model, prompt: "#recall", ...inSession(session) });
    expect(text).toBe("my name is Ada");
  });

  test("shows the agent an image", async () => {
    const image = Buffer.from("not looked at by the stand-in");
    const session = randomUUID();
    const { text } = await generateText({
      model,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "what is this?" },
            { type: "file", data: image, mediaType: "image/png" },
          ],
        },
      ],
      ...inSession(session),
    });
    expect(text).toBe("what is this?");
    const turn = (await claude.turns()).find(({ session_id }) => session_id === session);
    expect(turn?.images).toEqual([{ type: "base64", media_type: "image/png", data: image.toString("base64") }]);
  });
});

describe("streamText", () => {
  test("has each delta while the agent is still to say the next", async () => {
    await using held = await startHeldDaemon();
    const slow = connectAiSdk(held.daemon)("sonnet");
    const words = ["one ", "two ", "three "] as const;
    const heard = await hearWords(held.turn, words, () => streamText({ model: slow, prompt: "go" }).textStream);
    expect(heard).toEqual(words);
  });

  test("ends with the reason and the usage", async () => {
    const stream = streamText({ model, prompt: "a b c" });
    expect(await stream.text).toBe("a b c");
    expect(await stream.finishReason).toBe("stop");
    expect(await stream.usage).toMatchObject({ inputTokens: 10, outputTokens: 5, totalTokens: 15 });
  });

  test("tells of an agent that fails midway, and does not end as if it had answered", async () => {
    const errors: unknown[] = [];
    const onError = ({ error }: { error: unknown }) => void errors.push(error);
    const session = randomUUID();
    const prompt = "#deltas=3 #every=100 #crash";
    const stream = streamText({ model, prompt, onError, ...inSession(session) });
    let text = "";
    for await (const delta of stream.textStream) text += delta;
    expect(text).toBe("1 2 3 ");
    expect(await stream.finishReason).toBe("error");
    expect(errors).toMatchObject([{ code: "runner_crashed", isRetryable: false }]);
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });
});

describe("a schema", () => {
  const output = Output.object({ schema: z.object({ city: z.string(), inhabitants: z.int() }) });
  const oslo = { city: "Oslo", inhabitants: 717_710 };
  const prompt = `#output=${JSON.stringify(oslo)} which city?`;

  test("is met by the object, generated or streamed", async () => {
    expect((await generateText({ model, prompt, output })).output).toEqual(oslo);
    expect(await streamText({ model, prompt, output }).output).toEqual(oslo);
    const args = (await claude.turns()).at(-1)?.args ?? [];
    expect(args.find((arg) => arg.startsWith("--json-schema="))).toContain('"inhabitants"');
  });

  test("that the agent did not meet is an error, and not tried again", async () => {
    const session = randomUUID();
    const refused = generateText({ model, prompt: "#no-output hello", output, ...inSession(session) });
    await expect(refused).rejects.toMatchObject({ statusCode: 422, isRetryable: false });
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });
});

describe("an error", () => {
  const once = { maxRetries: 0 };

  test("of a request has the status and the body", async () => {
    const refused = generateText({ model: ksi("gpt-0"), prompt: "hello" });
    await expect(refused).rejects.toThrow(APICallError);
    await expect(refused).rejects.toMatchObject({
      statusCode: 404,
      message: expect.stringContaining("gpt-0"),
      data: { error: { code: "model_not_found", param: "model" } },
    });
    const stranger = connectAiSdk({ ...daemon, token: "wrong" });
    const unauthorized = generateText({ model: stranger("sonnet"), prompt: "hello" });
    await expect(unauthorized).rejects.toMatchObject({ statusCode: 401, isRetryable: false });
  });

  test("of an agent has its status", async () => {
    const limited = generateText({ model, prompt: "#api-error=429", ...once });
    await expect(limited).rejects.toMatchObject({ statusCode: 429 });
    const crashed = generateText({ model, prompt: "#crash", ...once });
    await expect(crashed).rejects.toMatchObject({ statusCode: 502, responseHeaders: { "x-should-retry": "false" } });
  });

  // It goes by the status alone, and takes no notice of x-should-retry.
  test("of an agent makes the SDK ask again, which a key makes harmless", async () => {
    const sessions = [randomUUID(), randomUUID()] as const;
    const ask = (session: string, headers = {}) =>
      generateText({ model, prompt: "#crash", maxRetries: 1, headers, ...inSession(session) });
    const [keyed, bare] = await Promise.allSettled([
      ask(sessions[0], { "Idempotency-Key": randomUUID() }),
      ask(sessions[1]),
    ]);
    for (const answer of [keyed, bare]) {
      expect(answer).toMatchObject({
        status: "rejected",
        reason: { errors: [{ statusCode: 502 }, { statusCode: 502 }] },
      });
      expect(answer).toHaveProperty("reason", expect.any(RetryError));
    }
    expect(await listRuns(daemon, sessions[0])).toHaveLength(1);
    expect(await listRuns(daemon, sessions[1])).toHaveLength(2);
  });
});

describe("an abort", () => {
  test("of generateText cancels the run", async () => {
    const session = randomUUID();
    const abort = new AbortController();
    const answering = generateText({ model, prompt: "#hang", abortSignal: abort.signal, ...inSession(session) });
    const refused = expect(answering).rejects.toMatchObject({ name: "AbortError" });
    await until(async () => (await listRuns(daemon, session))[0]?.status === "running");
    abort.abort();
    await refused;
    await until(async () => (await listRuns(daemon, session))[0]?.status === "cancelled");
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });

  test("of streamText cancels the run", async () => {
    const session = randomUUID();
    const abort = new AbortController();
    const prompt = "#deltas=100000 #every=5";
    const stream = streamText({ model, prompt, abortSignal: abort.signal, ...inSession(session) });
    const parts = new Set<string>();
    for await (const part of stream.fullStream) {
      parts.add(part.type);
      if (part.type === "text-delta") abort.abort();
    }
    expect(parts).toContain("abort");
    await until(async () => (await listRuns(daemon, session))[0]?.status === "cancelled");
  });
});

test("nothing of this went anywhere else than to this machine", () => {
  expect(connections()).toEqual(["127.0.0.1"]);
});
