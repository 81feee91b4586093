/** The openai SDK against a whole daemon: what it is answered. How it fails is in openai-sdk-failures.test.ts. */
import { randomUUID } from "node:crypto";
import type OpenAI from "openai";
import { APIError, BadRequestError, NotFoundError, UnprocessableEntityError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { hearWords } from "./hear-words.ts";
import { startHeldDaemon } from "./held-daemon.ts";
import { watchConnections } from "./loopback-only.ts";
import { ask, collect, deltasOf, textOf } from "./openai-chat.ts";
import { connectOpenAi, getRun, listRuns, startScriptedDaemon } from "./openai-clients.ts";

const connections = watchConnections();
const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());
const { daemon, claude } = live;
const openai = connectOpenAi(daemon);

describe("an answer", () => {
  test("comes in one piece, with the agent's own numbers and the names of its session and run", async () => {
    const { data, response, request_id } = await openai.chat.completions.create(ask("hello there")).withResponse();
    expect(data).toMatchObject({
      object: "chat.completion",
      model: "sonnet",
      choices: [{ index: 0, message: { role: "assistant", content: "hello there" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    });
    const run = await getRun(daemon, response.headers.get("x-ksi-run-id") ?? "");
    expect(run).toMatchObject({ status: "completed", session_id: response.headers.get("x-ksi-session-id") });
    expect(data.id).toBe(`chatcmpl-${run.run_id}`);
    expect(request_id).toBe(response.headers.get("x-request-id"));
    expect(Number(response.headers.get("openai-processing-ms"))).toBeGreaterThan(0);
  });

  test("of echo has no usage, since nobody counted", async () => {
    const { choices, usage } = await openai.chat.completions.create({ ...ask("hello there"), model: "echo" });
    expect(choices[0]).toMatchObject({ message: { content: "hello there" }, finish_reason: "stop" });
    expect(usage).toBeUndefined();
  });

  test("ends before a stop sequence, streamed or not", async () => {
    const body = { ...ask("one two three"), stop: [" three"] };
    expect((await openai.chat.completions.create(body)).choices[0]?.message.content).toBe("one two");
    expect(textOf(await collect(await openai.chat.completions.create({ ...body, stream: true })))).toBe("one two");
  });

  test("is one's own, when twenty are asked for at once", async () => {
    const words = Array.from({ length: 20 }, (_, i) => `answer number ${i}`);
    const answers = words.map(async (word, i) => {
      if (i % 2 === 0) return (await openai.chat.completions.create(ask(word))).choices[0]?.message.content;
      return textOf(await collect(await openai.chat.completions.create({ ...ask(word), stream: true })));
    });
    expect(await Promise.all(answers)).toEqual(words);
  });
});

describe("a stream", () => {
  test("has each delta while the agent is still to say the next", async () => {
    await using held = await startHeldDaemon();
    const client = connectOpenAi(held.daemon);
    let runId = "";
    const open = async () => {
      const { data, response } = await client.chat.completions.create({ ...ask("go"), stream: true }).withResponse();
      runId = response.headers.get("x-ksi-run-id") ?? "";
      return deltasOf(data);
    };
    const words = ["one ", "two ", "three "] as const;
    const heard = await hearWords(held.turn, words, open, async () => {
      expect(await getRun(held.daemon, runId)).toMatchObject({ status: "running" });
    });
    expect(heard).toEqual(words);
  });

  test.for(["sonnet", "echo"])("of %s opens with the role and ends with the reason", async (model) => {
    const chunks = await collect(await openai.chat.completions.create({ ...ask("a b c"), model, stream: true }));
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: "assistant", content: "" },
      ...["a ", "b ", "c"].map((content) => ({ content })),
      {},
    ]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, null, "stop"]);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test("has the usage in a last chunk without choices, where it was asked for", async () => {
    const include = { stream: true, stream_options: { include_usage: true } } as const;
    const chunks = await collect(await openai.chat.completions.create({ ...ask("a b"), ...include }));
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 5 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);

    const without = await collect(await openai.chat.completions.create({ ...ask("a b"), stream: true }));
    expect(without.every(({ usage, choices }) => usage === undefined && choices.length === 1)).toBe(true);
  });

  test("is what the SDK's own collector makes of it", async () => {
    const stream = openai.chat.completions.stream({ ...ask("a b c"), stream_options: { include_usage: true } });
    const said: string[] = [];
    stream.on("content", (delta) => said.push(delta));
    expect(await stream.finalContent()).toBe("a b c");
    expect(said).toEqual(["a ", "b ", "c"]);
    expect(await stream.totalUsage()).toMatchObject({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 });
    expect((await stream.finalChatCompletion()).choices[0]?.finish_reason).toBe("stop");
  });
});

describe("a schema", () => {
  const City = z.object({ city: z.string(), inhabitants: z.int() });
  const response_format = zodResponseFormat(City, "city");
  const oslo = { city: "Oslo", inhabitants: 717_710 };
  const order = `#output=${JSON.stringify(oslo)}`;

  test("of zod is met by the parsed answer, streamed or not", async () => {
    const body = { ...ask(`${order} which city?`), response_format };
    const { choices } = await openai.chat.completions.parse(body);
    expect(choices[0]?.message.parsed).toEqual(oslo);
    const streamed = await openai.chat.completions.stream(body).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(oslo);
    const args = (await claude.turns()).at(-1)?.args ?? [];
    expect(args.find((arg) => arg.startsWith("--json-schema="))).toContain('"inhabitants"');
  });

  test("that the agent did not meet is an error, not an answer", async () => {
    const body = { ...ask("#no-output hello"), response_format };
    const refused = openai.chat.completions.parse(body);
    await expect(refused).rejects.toThrow(UnprocessableEntityError);
    await expect(refused).rejects.toMatchObject({ code: "output_invalid", param: "response_format" });
    await expect(openai.chat.completions.stream(body).finalChatCompletion()).rejects.toThrow(APIError);
  });
});

test("models are listed, and found by their name", async () => {
  const { data } = await openai.models.list();
  expect(data.map(({ id, owned_by }) => [id, owned_by])).toEqual([
    ["sonnet", "claude"],
    ["opus", "claude"],
    ["haiku", "claude"],
    ["echo", "echo"],
  ]);
  for (const { id } of data) {
    expect(await openai.models.retrieve(id)).toMatchObject({ id, object: "model" });
  }
  await expect(openai.models.retrieve("openai/gpt-0")).rejects.toThrow(NotFoundError);
});

describe("a session", () => {
  test("goes on by metadata or by header, and is told in both ways", async () => {
    const { response } = await openai.chat.completions.create(ask("my name is Ada")).withResponse();
    const session = response.headers.get("x-ksi-session-id") ?? "";
    const second = await openai.chat.completions.create(ask("#recall", session)).withResponse();
    expect(second.data.choices[0]?.message.content).toBe("my name is Ada");
    expect(second.data).toMatchObject({ metadata: { session_id: session } });
    expect(second.response.headers.get("x-ksi-session-id")).toBe(session);
    const headers = { "x-ksi-session-id": session };
    const third = await openai.chat.completions.create({ ...ask("#recall"), stream: true }, { headers });
    expect(textOf(await collect(third))).toContain("my name is Ada");
    expect(await listRuns(daemon, session)).toHaveLength(3);
  });

  test("is not given two names", async () => {
    const headers = { "x-ksi-session-id": randomUUID() };
    const refused = openai.chat.completions.create(ask("hello", randomUUID()), { headers });
    await expect(refused).rejects.toMatchObject({ status: 400, param: "metadata.session_id" });
  });

  test("holds the history, so that of a transcript only what is new is asked", async () => {
    const session = randomUUID();
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "first question" },
    ];
    const metadata = { session_id: session };
    const { choices } = await openai.chat.completions.create({ model: "sonnet", messages, metadata });
    const answer = choices[0]?.message;
    if (!answer) throw new Error("there is no answer");
    messages.push(answer, { role: "user", content: "second question" });
    await openai.chat.completions.create({ model: "sonnet", messages, metadata });
    const turns = (await claude.turns()).filter((turn) => turn.session_id === session && turn.event === "started");
    expect(turns.map(({ prompt }) => prompt)).toEqual(["first question", "second question"]);
    expect(turns.map(({ system_prompt }) => system_prompt)).toEqual(["Be brief.", "Be brief."]);
  });

  test("is never guessed: without one the agent is asked the whole transcript", async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "user", content: "first question" },
      { role: "assistant", content: "first answer" },
      { role: "user", content: "second question" },
    ];
    const { response } = await openai.chat.completions.create({ model: "sonnet", messages }).withResponse();
    const session = response.headers.get("x-ksi-session-id");
    const turn = (await claude.turns()).find(({ session_id }) => session_id === session);
    for (const { content } of messages) expect(turn?.prompt).toContain(JSON.stringify(content));
  });
});

describe("an image", () => {
  const data = Buffer.from("not looked at by the stand-in").toString("base64");
  const look = (url: string): OpenAI.ChatCompletionMessageParam[] => [
    {
      role: "user",
      content: [
        { type: "text", text: "what is this?" },
        { type: "image_url", image_url: { url } },
      ],
    },
  ];

  test("reaches the agent as it was sent", async () => {
    const messages = look(`data:image/png;base64,${data}`);
    const { data: answer, response } = await openai.chat.completions
      .create({ model: "sonnet", messages })
      .withResponse();
    expect(answer.choices[0]?.message.content).toBe("what is this?");
    const session = response.headers.get("x-ksi-session-id");
    const turn = (await claude.turns()).find(({ session_id }) => session_id === session);
    expect(turn?.images).toEqual([{ type: "base64", media_type: "image/png", data }]);
  });

  test("is refused where it would be lost", async () => {
    const param = "messages[0].content[1].image_url";
    const messages = look(`data:image/png;base64,${data}`);
    await expect(openai.chat.completions.create({ model: "echo", messages })).rejects.toThrow(BadRequestError);
    const fetched = openai.chat.completions.create({ model: "sonnet", messages: look("http://127.0.0.1/a.png") });
    await expect(fetched).rejects.toMatchObject({ status: 400, param });
  });
});

test("nothing of this went anywhere else than to this machine", () => {
  expect(connections()).toEqual(["127.0.0.1"]);
});
