/** LangChain's ChatOpenAI against a whole daemon. */
import { randomUUID } from "node:crypto";
import { until } from "@ksi/testing";
import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { hearWords } from "./hear-words.ts";
import { startHeldDaemon } from "./held-daemon.ts";
import { watchConnections } from "./loopback-only.ts";
import { connectLangChain, listRuns, startScriptedDaemon } from "./openai-clients.ts";

const connections = watchConnections();
const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());
const { daemon, claude } = live;
const model = connectLangChain(daemon);

/** A model whose calls all belong to one session. */
const inSession = (session_id: string) => connectLangChain(daemon, { modelKwargs: { metadata: { session_id } } });

async function* deltasOf(stream: AsyncIterable<{ text: string }>): AsyncGenerator<string> {
  for await (const { text } of stream) if (text !== "") yield text;
}

describe("invoke", () => {
  test("gives the text, the agent's own numbers and the reason", async () => {
    const message = await model.invoke("hello there");
    expect(message.text).toBe("hello there");
    expect(message.usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 5, total_tokens: 15 });
    expect(message.response_metadata).toMatchObject({ finish_reason: "stop", model_name: "sonnet" });
    expect(message.id).toMatch(/^chatcmpl-/);
  });

  test("of echo gives the prompt", async () => {
    expect((await connectLangChain(daemon, { model: "echo" }).invoke("hello there")).text).toBe("hello there");
  });

  test("goes on with a session, and says what the system says", async () => {
    const session = randomUUID();
    const remembering = inSession(session);
    await remembering.invoke([new SystemMessage("Be brief."), new HumanMessage("my name is Ada")]);
    expect((await remembering.invoke("#recall")).text).toBe("my name is Ada");
    const turn = (await claude.turns()).find(({ session_id }) => session_id === session);
    expect(turn).toMatchObject({ prompt: "my name is Ada", system_prompt: "Be brief." });
  });

  test("shows the agent an image", async () => {
    const session = randomUUID();
    const data = Buffer.from("not looked at by the stand-in").toString("base64");
    const content = [
      { type: "text", text: "what is this?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
    ];
    expect((await inSession(session).invoke([new HumanMessage({ content })])).text).toBe("what is this?");
    const turn = (await claude.turns()).find(({ session_id }) => session_id === session);
    expect(turn?.images).toEqual([{ type: "base64", media_type: "image/png", data }]);
  });
});

describe("stream", () => {
  test("has each delta while the agent is still to say the next", async () => {
    await using held = await startHeldDaemon();
    const slow = connectLangChain(held.daemon);
    const words = ["one ", "two ", "three "] as const;
    expect(await hearWords(held.turn, words, async () => deltasOf(await slow.stream("go")))).toEqual(words);
  });

  test("ends with the reason and the usage", async () => {
    const chunks = [];
    for await (const chunk of await model.stream("a b c")) chunks.push(chunk);
    expect(chunks.map(({ text }) => text).join("")).toBe("a b c");
    expect(chunks.some(({ response_metadata }) => response_metadata.finish_reason === "stop")).toBe(true);
    expect(chunks.at(-1)?.usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 5, total_tokens: 15 });
  });

  test("throws when the agent fails midway", async () => {
    const session = randomUUID();
    const said: string[] = [];
    const reading = (async () => {
      for await (const { text } of await inSession(session).stream("#deltas=3 #every=100 #crash")) said.push(text);
    })();
    await expect(reading).rejects.toMatchObject({ code: "runner_crashed" });
    expect(said.join("")).toBe("1 2 3 ");
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });
});

describe("withStructuredOutput", () => {
  const City = z.object({ city: z.string(), inhabitants: z.int() });
  const oslo = { city: "Oslo", inhabitants: 717_710 };
  const structured = model.withStructuredOutput(City, { name: "city", method: "jsonSchema" });

  test("gives what satisfies the schema", async () => {
    expect(await structured.invoke(`#output=${JSON.stringify(oslo)} which city?`)).toEqual(oslo);
    const args = (await claude.turns()).at(-1)?.args ?? [];
    expect(args.find((arg) => arg.startsWith("--json-schema="))).toContain('"inhabitants"');
  });

  test("rejects where the agent did not", async () => {
    await expect(structured.invoke("#no-output hello")).rejects.toMatchObject({ status: 422, code: "output_invalid" });
  });
});

test("batch gives each answer in its place", async () => {
  const prompts = Array.from({ length: 8 }, (_, i) => `answer number ${i}`);
  expect((await model.batch(prompts)).map(({ text }) => text)).toEqual(prompts);
});

describe("an error", () => {
  test.for([
    ["#api-error=429", 429, "model_rate_limited"],
    ["#crash", 502, "runner_crashed"],
  ] as const)("of an agent that fails by %s has its status", async ([prompt, status, code]) => {
    await expect(model.invoke(prompt)).rejects.toMatchObject({ status, code });
    await expect(model.stream(prompt)).rejects.toMatchObject({ status, code });
  });

  test("of a request has its status, and is not tried again", async () => {
    const willing = { maxRetries: 2 };
    const unknown = connectLangChain(daemon, { model: "gpt-0", ...willing }).invoke("hello");
    await expect(unknown).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    const stranger = connectLangChain({ ...daemon, token: "wrong" }, willing).invoke("hello");
    await expect(stranger).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
  });

  // Its own retries take no notice of x-should-retry.
  test("of an agent makes LangChain ask again, which a key makes harmless", async () => {
    const session = randomUUID();
    let requests = 0;
    const countingFetch: typeof fetch = (...request) => {
      requests += 1;
      return fetch(...request);
    };
    const configuration = { baseURL: `${daemon.url}/v1`, fetch: countingFetch };
    const modelKwargs = { metadata: { session_id: session } };
    const willing = connectLangChain(daemon, { configuration, modelKwargs, maxRetries: 1 });
    const options = { headers: { "Idempotency-Key": randomUUID() } };
    await expect(willing.invoke("#crash", { options })).rejects.toMatchObject({ status: 502 });
    expect(requests).toBe(2);
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });
});

test("an abort cancels the run", async () => {
  const session = randomUUID();
  const abort = new AbortController();
  const answering = inSession(session).invoke("#hang", { signal: abort.signal });
  const refused = expect(answering).rejects.toThrow();
  await until(async () => (await listRuns(daemon, session))[0]?.status === "running");
  abort.abort();
  await refused;
  await until(async () => (await listRuns(daemon, session))[0]?.status === "cancelled");
});

test("nothing of this went anywhere else than to this machine", () => {
  expect(connections()).toEqual(["127.0.0.1"]);
});
