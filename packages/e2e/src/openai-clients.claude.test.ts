/** Other people's OpenAI clients, the whole way to the real CLI and back; only the model is scripted. */
import { createTempFolder, installClaudeCli, type ModelAnswer } from "@ksi/testing";
import { HumanMessage } from "@langchain/core/messages";
import { generateText, Output, streamText } from "ai";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";
import { connectAiSdk, connectLangChain, connectOpenAi, soon } from "./openai-clients.ts";
import { startRetoldModel } from "./retold-model.ts";

/** What the model says, and why it stops, for each of its requests in turn; the last one for all that follow. */
let answers: ModelAnswer[];
let reasons: string[];
beforeEach(() => {
  [answers, reasons] = [[], ["end_turn"]];
});

const stack = new AsyncDisposableStack();
let model: Awaited<ReturnType<typeof startRetoldModel>>;
let live: LiveDaemon;

beforeAll(async () => {
  const claudeBin = await installClaudeCli();
  const home = stack.use(await createTempFolder());
  const next = <T>(list: T[]) => (list.length > 1 ? list.shift() : list[0]);
  model = stack.use(
    await startRetoldModel(
      () => next(answers) ?? { text: ["unscripted"] },
      retell(() => next(reasons)),
    ),
  );
  live = stack.use(
    await startLiveDaemon({
      env: {
        HOME: home.path,
        // Where the CLI puts copies of images, and leaves them.
        TMPDIR: home.path,
        KSI_CLAUDE_BIN: claudeBin,
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: "dummy",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_TELEMETRY: "1",
        DISABLE_ERROR_REPORTING: "1",
      },
    }),
  );
}, 300_000);
afterAll(() => stack.disposeAsync());

/** Numbers of which none can be mistaken for another. */
const counted = { input_tokens: 11, output_tokens: 7, cache_creation_input_tokens: 20, cache_read_input_tokens: 300 };
const usage = { input: 331, output: 7, total: 338, cached: 300 };

const retell = (nextReason: () => string | undefined) => (frame: string) =>
  frame
    .replace(/"usage":\{"input_tokens".*?\}/, `"usage":${JSON.stringify(counted)}`)
    .replace('"usage":{"output_tokens":5}', `"usage":{"output_tokens":${counted.output_tokens}}`)
    .replace('"stop_reason":"end_turn"', () => `"stop_reason":"${nextReason()}"`);

const City = z.object({ city: z.string(), inhabitants: z.int() });
const oslo = { city: "Oslo", inhabitants: 717_710 };
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const dataUri = `data:image/png;base64,${onePixel}`;

interface Answered {
  readonly text: string;
  readonly reason: unknown;
  readonly usage: Record<keyof typeof usage, number | undefined>;
}

/** What each client can do, in the same words. */
interface Client {
  ask(prompt: string): Promise<Answered>;
  stream(prompt: string): AsyncIterable<string>;
  askForCity(prompt: string): Promise<unknown>;
  look(prompt: string): Promise<string | null | undefined>;
}

function openAiClient(): Client {
  const { completions } = connectOpenAi(live.daemon).chat;
  const chat = (content: string) => ({ model: "sonnet", messages: [{ role: "user" as const, content }] });
  return {
    async ask(prompt) {
      const { choices, usage: used } = await completions.create(chat(prompt));
      const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = used ?? {};
      const cached = prompt_tokens_details?.cached_tokens;
      return {
        text: choices[0]?.message.content ?? "",
        reason: choices[0]?.finish_reason,
        usage: { input: prompt_tokens, output: completion_tokens, total: total_tokens, cached },
      };
    },
    async *stream(prompt) {
      for await (const { choices } of await completions.create({ ...chat(prompt), stream: true })) {
        if (choices[0]?.delta.content) yield choices[0].delta.content;
      }
    },
    async askForCity(prompt) {
      const response_format = zodResponseFormat(City, "city");
      return (await completions.parse({ ...chat(prompt), response_format })).choices[0]?.message.parsed;
    },
    async look(prompt) {
      const content = [
        { type: "text" as const, text: prompt },
        { type: "image_url" as const, image_url: { url: dataUri } },
      ];
      const answer = await completions.create({ model: "sonnet", messages: [{ role: "user", content }] });
      return answer.choices[0]?.message.content;
    },
  };
}

function aiSdkClient(): Client {
  const sonnet = connectAiSdk(live.daemon)("sonnet");
  return {
    async ask(prompt) {
      const { text, finishReason, usage: used } = await generateText({ model: sonnet, prompt });
      const { inputTokens, outputTokens, totalTokens, inputTokenDetails } = used;
      const cached = inputTokenDetails.cacheReadTokens;
      return {
        text,
        reason: finishReason,
        usage: { input: inputTokens, output: outputTokens, total: totalTokens, cached },
      };
    },
    stream: (prompt) => streamText({ model: sonnet, prompt }).textStream,
    async askForCity(prompt) {
      return (await generateText({ model: sonnet, prompt, output: Output.object({ schema: City }) })).output;
    },
    async look(prompt) {
      const content = [
        { type: "text" as const, text: prompt },
        { type: "file" as const, data: Buffer.from(onePixel, "base64"), mediaType: "image/png" },
      ];
      return (await generateText({ model: sonnet, messages: [{ role: "user", content }] })).text;
    },
  };
}

/** Its own types do not say what is in a message. */
const langChainUsage = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  total_tokens: z.int(),
  input_token_details: z.object({ cache_read: z.int() }),
});

function langChainClient(): Client {
  const sonnet = connectLangChain(live.daemon);
  return {
    async ask(prompt) {
      const { text, response_metadata, usage_metadata } = await sonnet.invoke(prompt);
      const { input_tokens, output_tokens, total_tokens, input_token_details } = langChainUsage.parse(usage_metadata);
      const cached = input_token_details.cache_read;
      const used = { input: input_tokens, output: output_tokens, total: total_tokens, cached };
      return { text, reason: response_metadata.finish_reason, usage: used };
    },
    async *stream(prompt) {
      for await (const { text } of await sonnet.stream(prompt)) if (text !== "") yield text;
    },
    askForCity: (prompt) => sonnet.withStructuredOutput(City, { name: "city", method: "jsonSchema" }).invoke(prompt),
    async look(prompt) {
      const content = [
        { type: "text", text: prompt },
        { type: "image_url", image_url: { url: dataUri } },
      ];
      return (await sonnet.invoke([new HumanMessage({ content })])).text;
    },
  };
}

describe.for([
  ["the openai SDK", openAiClient],
  ["the AI SDK", aiSdkClient],
  ["LangChain", langChainClient],
] as const)("%s", ([, connect]) => {
  test("gives the text, and the numbers that the model counted", async () => {
    answers = [{ text: ["It is ", "four."] }];
    expect(await connect().ask("2+2?")).toEqual({ text: "It is four.", reason: "stop", usage });
    expect(JSON.stringify(model.requests.at(-1)?.messages)).toContain("2+2?");
  });

  test("streams each word before the model says the next", async () => {
    const gates = ["one ", "two ", "three"].map(() => Promise.withResolvers<void>());
    answers = [{ text: ["one ", "two ", "three"], gate: async (delta) => await gates[delta]?.promise }];
    const words = connect().stream("count")[Symbol.asyncIterator]();
    for (const [i, word] of ["one ", "two ", "three"].entries()) {
      gates[i]?.resolve();
      expect((await soon(words.next())).value).toBe(word);
    }
    expect((await soon(words.next())).done).toBe(true);
  });

  test("gives an object that satisfies the schema", async () => {
    answers = [{ tool: "StructuredOutput", input: oslo }];
    expect(await connect().askForCity("Which city?")).toEqual(oslo);
  });

  test("shows the model an image", async () => {
    answers = [{ text: ["a pixel"] }];
    expect(await connect().look("what is this?")).toBe("a pixel");
    expect(JSON.stringify(model.requests.at(-1)?.messages)).toContain(onePixel);
  });
});

describe("an answer whose connection to the model breaks", () => {
  const words = ["answer ", "number "];

  /** The connection breaks when the client has the words. */
  async function streamBroken(again: readonly string[]) {
    const seen = Promise.withResolvers<void>();
    const gate = (delta: number) => (delta < words.length ? Promise.resolve() : seen.promise);
    answers = [{ text: words, end: "broken", gate }, { text: again }];
    let streamed = "";
    try {
      for await (const word of openAiClient().stream("answer")) {
        streamed += word;
        if (streamed === words.join("")) seen.resolve();
      }
      return { streamed };
    } catch (error) {
      return { streamed, error };
    }
  }

  test("is streamed once, where the model says the same again and goes on", async () => {
    expect(await streamBroken([...words, "is 1"])).toEqual({ streamed: "answer number is 1" });
  });

  test("is an error, where the model says something else", async () => {
    const { streamed, error } = await streamBroken(["other words"]);
    expect(streamed).toBe("answer number ");
    expect(error).toMatchObject({ code: "model_error", message: expect.stringContaining("anew") });
  });
});

describe("an answer that the model breaks off at its limit of tokens", () => {
  // The CLI has the model go on, so that a finish_reason of "length" is never seen.
  test("is streamed to its real end", async () => {
    answers = [{ text: ["the begin"] }, { text: ["ning and the end"] }];
    reasons = ["max_tokens", "end_turn"];
    const words = await Array.fromAsync(openAiClient().stream("tell a story"));
    expect(words.join("")).toBe("the beginning and the end");
  });

  test("is given as one text", async () => {
    answers = [{ text: ["the begin"] }, { text: ["ning and the end"] }];
    reasons = ["max_tokens", "end_turn"];
    expect((await openAiClient().ask("tell a story")).text).toBe("the beginning and the end");
  });

  test("is an error that says so, when no end comes", async () => {
    answers = [{ text: ["and "] }];
    reasons = ["max_tokens"];
    const refused = openAiClient().ask("tell a story without end");
    await expect(refused).rejects.toMatchObject({ status: 502, code: "model_error" });
    await expect(refused).rejects.toThrow("output token maximum");
  });
});
