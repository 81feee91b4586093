import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { expect, test } from "vitest";
import { z } from "zod";
import { createOpenAiRoutes } from "./routes.ts";
import { createFakePorts, type FakePorts, type FakeRun } from "./testing/fake-ports.ts";
import { serve } from "./testing/serve.ts";

const messages = [{ role: "user" as const, content: "hello" }];
const hello = { model: "echo", messages };

interface Session extends AsyncDisposable {
  readonly fake: FakePorts;
  readonly client: OpenAI;
  /** How many requests have reached the server. */
  readonly requests: number;
}

async function connect(play?: (run: FakeRun) => void): Promise<Session> {
  const fake = createFakePorts(play);
  const handler = createOpenAiRoutes((request) => {
    if (request.headers.get("authorization") === "Bearer right") return fake;
    throw new KsiError("UNAUTHORIZED", "This is not the key.");
  });
  let requests = 0;
  const served = await serve((request) => {
    requests += 1;
    return handler(request);
  });
  return {
    fake,
    client: new OpenAI({ apiKey: "right", baseURL: served.baseURL }),
    get requests() {
      return requests;
    },
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

test("a chat is answered in one piece, and tells its session", async () => {
  await using session = await connect((run) =>
    run.complete({ result: "Hi!", usage: { input_tokens: 1, output_tokens: 2 } }),
  );
  const { data, response } = await session.client.chat.completions.create(hello).withResponse();
  expect(data.choices[0]?.message.content).toBe("Hi!");
  expect(data.usage?.total_tokens).toBe(3);
  expect(response.headers.get("x-ksi-session-id")).toBe(session.fake.spawned[0]?.session_id);
});

test("a chat is streamed delta by delta, and the SDK's own collector agrees with it", async () => {
  await using session = await connect((run) => {
    run.start();
    run.say("one ", "two");
    run.complete({ usage: { input_tokens: 1, output_tokens: 2 } });
  });
  const create = { ...hello, stream_options: { include_usage: true } };
  const deltas: string[] = [];
  for await (const chunk of await session.client.chat.completions.create({ ...create, stream: true })) {
    if (chunk.choices[0]?.delta.content) deltas.push(chunk.choices[0].delta.content);
  }
  expect(deltas).toEqual(["one ", "two"]);

  const collected = await session.client.chat.completions.stream(create).finalChatCompletion();
  expect(collected.choices[0]).toMatchObject({ message: { content: "one two" }, finish_reason: "stop" });
  expect(collected.usage?.total_tokens).toBe(3);
});

test("a parsed answer satisfies the caller's schema", async () => {
  await using session = await connect((run) => run.complete({ output: { n: 4 } }));
  const response_format = zodResponseFormat(z.object({ n: z.number() }), "answer");
  const { choices } = await session.client.chat.completions.parse({ ...hello, response_format });
  expect(choices[0]?.message.parsed).toEqual({ n: 4 });
});

test("models are listed and found", async () => {
  await using session = await connect();
  session.fake.status = {
    default_model: "echo",
    runners: [{ name: "local", available: true, models: ["openai/gpt-oss"] }],
  };
  expect((await session.client.models.list()).data.map(({ id }) => id)).toEqual(["openai/gpt-oss", "echo"]);
  expect((await session.client.models.retrieve("openai/gpt-oss")).owned_by).toBe("local");
  await expect(session.client.models.retrieve("gpt-0")).rejects.toThrow(OpenAI.NotFoundError);
});

test.each([
  ["an unknown model", "MODEL_NOT_FOUND", OpenAI.NotFoundError],
  ["a key used for something else", "CONFLICT", OpenAI.ConflictError],
] as const)("%s is refused at once by its own class of error", async (_, code, type) => {
  await using session = await connect();
  session.fake.failures.spawn = new KsiError(code, "No.");
  await expect(session.client.chat.completions.create(hello)).rejects.toThrow(type);
  expect(session.requests).toBe(1);
});

test("a wrong key and a wrong field are told apart, with the field", async () => {
  await using session = await connect();
  const stranger = new OpenAI({ apiKey: "wrong", baseURL: session.client.baseURL });
  await expect(stranger.chat.completions.create(hello)).rejects.toThrow(OpenAI.AuthenticationError);
  const refused = session.client.chat.completions.create({ ...hello, n: 2 });
  await expect(refused).rejects.toThrow(OpenAI.BadRequestError);
  await expect(refused).rejects.toMatchObject({ param: "n", code: "invalid_input", type: "invalid_request_error" });
});

test("what was not accepted is tried again, after the time that was said", async () => {
  await using session = await connect((run) => run.complete({ result: "Hi!" }));
  const details = { retry_after_ms: 20 };
  session.fake.failures.spawn = new KsiError("RATE_LIMITED", "Too many.", { details });
  const answering = session.client.chat.completions.create(hello);
  await until(() => session.requests === 1);
  delete session.fake.failures.spawn;
  expect((await answering).choices[0]?.message.content).toBe("Hi!");
  expect(session.requests).toBe(2);
});

test.each([
  ["MODEL_RATE_LIMITED", OpenAI.RateLimitError],
  ["MODEL_OVERLOADED", OpenAI.InternalServerError],
] as const)("a turn that failed with %s is not run again", async (code, type) => {
  await using session = await connect((run) => run.fail({ code, message: "The agent broke." }));
  await expect(session.client.chat.completions.create(hello)).rejects.toThrow(type);
  await expect(session.client.chat.completions.create({ ...hello, stream: true })).rejects.toThrow(type);
  expect(session.fake.spawned).toHaveLength(2);
});

test("a stream that breaks midway throws, and does not look like an end", async () => {
  await using session = await connect((run) => run.say("half"));
  const stream = await session.client.chat.completions.create({ ...hello, stream: true });
  session.fake.spawned[0]?.fail({ code: "RUNNER_CRASHED", message: "The agent broke." });
  const reading = (async () => {
    for await (const _ of stream);
  })();
  await expect(reading).rejects.toMatchObject({ code: "runner_crashed", message: "The agent broke." });
});

test("a request that is aborted cancels its run", async () => {
  await using session = await connect();
  const { fake, client } = session;
  const abort = new AbortController();
  const answering = client.chat.completions.create(hello, { signal: abort.signal });
  const refused = expect(answering).rejects.toThrow(OpenAI.APIUserAbortError);
  await until(() => fake.spawned[0]?.followers === 1);
  abort.abort();
  await refused;
  await until(() => fake.cancelled.length === 1);
});

test("a stream that is left cancels its run", async () => {
  await using session = await connect((run) => run.say("one"));
  const { fake, client } = session;
  for await (const chunk of await client.chat.completions.create({ ...hello, stream: true })) {
    if (chunk.choices[0]?.delta.content) break;
  }
  await until(() => fake.cancelled.length === 1);
  expect(fake.cancelled[0]).toMatchObject({ reason: "the client went away", grace_ms: 300 });
});
