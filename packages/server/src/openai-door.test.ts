import { once } from "node:events";
import { type IncomingMessage, request as open } from "node:http";
import { text } from "node:stream/consumers";
import type { CancelInput, RunEvent, SpawnInput } from "@ksi/contract";
import { createFakeFollow, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startTestDoors, type TestDoors, type TestDoorsOptions } from "./testing/test-doors.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

test("a chat is a run, and its answer says which, and how much room is left", async () => {
  const { options, spawned } = agent(async function* () {
    yield said("Hello");
    yield completed("Hello");
  });
  await using doors = await startTestDoors({ ...options, requestsPerMinute: 60_000 });
  const answer = await fetch(`${doors.url}/v1/chat/completions`, chat(doors, {}));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "Hello" }, finish_reason: "stop" }] });
  expect(spawned).toMatchObject([{ model: "echo", prompt: expect.stringContaining("hello") }]);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    "x-request-id": expect.any(String),
    "x-ksi-session-id": session_id,
    "x-ksi-run-id": "run-1",
    "openai-processing-ms": expect.stringMatching(/^\d+$/),
    "x-ratelimit-limit-requests": "60000",
    "x-ratelimit-remaining-requests": expect.stringMatching(/^59999|60000$/),
    "x-ratelimit-reset-requests": expect.stringMatching(/^[01]ms$/),
  });
});

test("a stream has the same headers, and its chunks come as the agent says them", async () => {
  const { options, sayMore } = pausingAgent();
  await using doors = await startTestDoors({ ...options, requestsPerMinute: 60_000 });
  const response = await stream(doors);
  expect(response.headers).toMatchObject({
    "content-type": expect.stringContaining("text/event-stream"),
    "x-ratelimit-limit-requests": "60000",
    "x-ksi-run-id": "run-1",
  });
  let received = "";
  response.on("data", (chunk) => {
    received += chunk;
  });
  await until(() => received.includes("Hello"), { message: "the text comes before the run ends" });
  expect(received).not.toContain("[DONE]");
  sayMore();
  await once(response, "end");
  expect(received).toMatch(/data: \[DONE\]\n\n$/);
});

test.each(["stream", "whole answer"])("a client that goes away from its %s stops its turn", async (kind) => {
  const { options, cancelled } = agent(async function* (signal) {
    yield said("Hello");
    if (!signal.aborted) await once(signal, "abort");
  });
  await using doors = await startTestDoors(options);
  const sent = send(doors, { stream: kind === "stream" });
  sent.on("error", () => undefined);
  if (kind === "stream") await once((await once(sent, "response"))[0], "data");
  else await until(() => options.follows.length === 1);
  sent.destroy();
  await until(() => cancelled.length === 1, { message: "the run is cancelled" });
  expect(cancelled[0]).toMatchObject({ run_id: "run-1", reason: "the client went away" });
  expect(doors.logged.filter(({ level }) => level === "error")).toEqual([]);
});

test("the limits of the daemon hold: bytes of a body, and how long an answer may take", async () => {
  const { options, cancelled } = agent(async function* (signal) {
    if (!signal.aborted) await once(signal, "abort");
    yield said("Too late.");
  });
  await using doors = await startTestDoors({ ...options, waitMaxMs: 50 });
  const large = await fetch(`${doors.url}/v1/chat/completions`, chat(doors, { user: "a".repeat(100_001) }));
  expect([large.status, await large.json()]).toMatchObject([413, { error: { code: "payload_too_large" } }]);
  const late = await fetch(`${doors.url}/v1/chat/completions`, chat(doors, {}));
  expect([late.status, await late.json()]).toMatchObject([408, { error: { type: "timeout_error" } }]);
  expect(cancelled).toMatchObject([{ run_id: "run-1" }]);
});

test("without the token it is 401 in OpenAI's shape, tells nothing of the rate, and is not logged as ours", async () => {
  await using doors = await startTestDoors({ requestsPerMinute: 10 });
  const refused = await fetch(`${doors.url}/v1/models`);
  expect([refused.status, refused.headers.get("x-ratelimit-limit-requests")]).toEqual([401, null]);
  expect(await refused.json()).toMatchObject({ error: { type: "authentication_error", code: "invalid_api_key" } });
  expect(doors.logged.map(({ level, fields }) => [level, { ...fields }])).toMatchObject([
    ["debug", { path: "/v1/models", code: "UNAUTHORIZED" }],
    ["info", { path: "/v1/models", status: 401 }],
  ]);
});

test("what breaks inside is a server_error without a word of it, and the log has path, request and cause", async () => {
  await using doors = await startTestDoors({ ports: { runs: { spawn: () => Promise.reject(new Error("secret")) } } });
  const init = chat(doors, {});
  const answer = await fetch(`${doors.url}/v1/chat/completions`, {
    ...init,
    headers: { ...init.headers, "x-request-id": "mine-1" },
  });
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toMatch(/secret|stack|\.ts/);
  const { fields } = doors.logged.find(({ level }) => level === "error") ?? {};
  expect(fields).toMatchObject({ path: "/v1/chat/completions", request_id: "mine-1", err: { message: "secret" } });
});

test("a daemon that closes lets a chat's stream end with its run, and never cuts it to look complete", async () => {
  const { options, sayMore } = pausingAgent();
  await using doors = await startTestDoors(options);
  const response = await stream(doors);
  doors.closing.abort();
  sayMore();
  expect(await text(response)).toMatch(/data: \[DONE\]\n\n$/);
});

/** It says Hello, and no more until it is told to. */
function pausingAgent() {
  const { promise: more, resolve: sayMore } = Promise.withResolvers<void>();
  const { options } = agent(async function* () {
    yield said("Hello");
    await more;
    yield completed("Hello");
  });
  return { options, sayMore };
}

type Play = (signal: AbortSignal) => AsyncGenerator<RunEvent>;

/** Ports behind which each run is run-1, and says what `play` gives. */
function agent(play: Play) {
  const spawned: SpawnInput[] = [];
  const cancelled: CancelInput[] = [];
  const follows: string[] = [];
  async function* entries(signal: AbortSignal) {
    let number = 0;
    yield { cursor: "1.0", event: queued };
    for await (const event of play(signal)) yield { cursor: `1.${++number}`, event };
  }
  const options: TestDoorsOptions & { follows: string[] } = {
    follows,
    ports: {
      runs: {
        spawn: async (input) => {
          spawned.push(input);
          return { status: "accepted", run_id: "run-1", session_id, message: "Accepted." };
        },
        cancel: async (input) => {
          cancelled.push(input);
          return { run_id: input.run_id, status: "running", cancelled: true };
        },
        events: async (run_id, _from, signal = new AbortController().signal) => {
          follows.push(run_id);
          return createFakeFollow(`runs:${run_id}`, () => entries(signal));
        },
      },
    },
  };
  return { options, spawned, cancelled };
}

const header = { id: "e", source: "ksi", timestamp: "2026-01-01T00:00:00.000Z", run_id: "run-1", session_id };

const queued: RunEvent = { ...header, event_type: "run.queued", payload: { model: "echo", priority: 50 } };

function said(words: string): RunEvent {
  return { ...header, event_type: "run.text", payload: { text: words } };
}

function completed(result: string): RunEvent {
  return { ...header, event_type: "run.completed", payload: { result, model: "echo", duration_ms: 1 } };
}

function chat({ token }: TestDoors, more: object) {
  return {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "echo", messages: [{ role: "user", content: "hello" }], ...more }),
  };
}

/** On a connection of its own, so that it can be cut. */
function send(doors: TestDoors, more: object) {
  const { body, ...init } = chat(doors, more);
  const sent = open(`${doors.url}/v1/chat/completions`, { ...init, agent: false });
  sent.end(body);
  return sent;
}

async function stream(doors: TestDoors): Promise<IncomingMessage> {
  const [response] = (await once(send(doors, { stream: true }), "response")) as [IncomingMessage];
  return response;
}
