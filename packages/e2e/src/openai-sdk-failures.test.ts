/** The openai SDK against a whole daemon: what it is refused, what it tries again, and how it leaves. */
import { randomUUID } from "node:crypto";
import { isAlive, startFaultProxy, until } from "@ksi/testing";
import {
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
  UnprocessableEntityError,
} from "openai";
import { afterAll, describe, expect, test } from "vitest";
import { watchConnections } from "./loopback-only.ts";
import { ask, collect, deltasOf, textOf } from "./openai-chat.ts";
import { connectOpenAi, listRuns, startScriptedDaemon } from "./openai-clients.ts";

const connections = watchConnections();
const live = await startScriptedDaemon();
afterAll(() => live[Symbol.asyncDispose]());
const { daemon, claude } = live;
const openai = connectOpenAi(daemon);

describe("an error", () => {
  test("of a wrong key has its own class", async () => {
    const stranger = connectOpenAi({ ...daemon, token: "wrong" });
    const refused = stranger.chat.completions.create(ask("hello"));
    await expect(refused).rejects.toThrow(AuthenticationError);
    await expect(refused).rejects.toMatchObject({ status: 401, code: "invalid_api_key", type: "authentication_error" });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
  });

  test("of an unknown model has its own class", async () => {
    const refused = openai.chat.completions.create({ ...ask("hello"), model: "gpt-0" });
    await expect(refused).rejects.toThrow(NotFoundError);
    await expect(refused).rejects.toMatchObject({ code: "model_not_found", param: "model" });
  });

  const parameters = { type: "object", properties: {} };
  const refusals: [param: string, fields: object][] = [
    ["tools", { tools: [{ type: "function", function: { name: "look_up", parameters } }] }],
    ["n", { n: 2 }],
    ["logprobs", { logprobs: true }],
    ["messages", { messages: [] }],
    ["messages[0].content", { messages: [{ role: "user" }] }],
    ["metadata.session_id", { metadata: { session_id: "not a uuid" } }],
    ["stop", { stop: ["a", "b", "c", "d", "e"] }],
  ];
  test.for(refusals)("of a request that cannot be honoured names %s", async ([param, fields]) => {
    const refused = openai.chat.completions.create({ ...ask("hello"), ...fields });
    await expect(refused).rejects.toThrow(BadRequestError);
    await expect(refused).rejects.toMatchObject({ param, type: "invalid_request_error" });
  });

  test("of a key that was used for something else has its own class", async () => {
    const headers = { "Idempotency-Key": randomUUID() };
    await openai.chat.completions.create(ask("first"), { headers });
    await expect(openai.chat.completions.create(ask("second"), { headers })).rejects.toThrow(ConflictError);
  });

  const failures: [order: string, status: number, code: string, type: new (...args: never[]) => APIError][] = [
    ["#api-error=429", 429, "model_rate_limited", RateLimitError],
    ["#api-error=529", 503, "model_overloaded", InternalServerError],
    ["#api-error=401", 502, "model_auth", InternalServerError],
    ["#api-error=404", 404, "model_not_found", NotFoundError],
    ["#max-turns", 422, "max_turns", UnprocessableEntityError],
    ["#budget", 422, "budget_exceeded", UnprocessableEntityError],
    ["#garbage", 502, "runner_bad_output", InternalServerError],
    ["#exit-at=1", 502, "runner_crashed", InternalServerError],
  ];
  test.for(failures)("of an agent that fails by %s has its status, and the turn is not run again", async (failure) => {
    const [order, status, code, type] = failure;
    for (const stream of [false, true]) {
      const session = randomUUID();
      const refused = openai.chat.completions.create({ ...ask(order, session), stream });
      await expect(refused).rejects.toThrow(type);
      await expect(refused).rejects.toMatchObject({ status, code });
      expect(await listRuns(daemon, session)).toHaveLength(1);
    }
  });

  test("of an agent that fails midway ends the loop over its stream, and the turn is not run again", async () => {
    const session = randomUUID();
    const stream = await openai.chat.completions.create({
      ...ask("#deltas=3 #every=100 #crash", session),
      stream: true,
    });
    const said: string[] = [];
    const reading = (async () => {
      for await (const delta of deltasOf(stream)) said.push(delta);
    })();
    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toMatchObject({ code: "runner_crashed" });
    expect(said.join("")).toBe("1 2 3 ");
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });
});

describe("a retry", () => {
  const retries = { maxRetries: 3 };

  test("after a lost connection attaches to the run of the same Idempotency-Key", async () => {
    await using proxy = await startFaultProxy({ target: daemon.url });
    const session = randomUUID();
    const client = connectOpenAi({ ...daemon, url: `http://${proxy.address}` }, retries);
    const headers = { "Idempotency-Key": randomUUID() };
    const answering = client.chat.completions.create(ask("#start=1500 hello", session), { headers });
    await until(async () => (await listRuns(daemon, session)).length === 1);
    proxy.cut();
    expect((await answering).choices[0]?.message.content).toBe("hello");
    expect(proxy.counts.accepted).toBe(2);
    expect(await listRuns(daemon, session)).toMatchObject([{ status: "completed" }]);
  });

  test("after a lost connection without a key is another run, and the first one is cancelled", async () => {
    await using proxy = await startFaultProxy({ target: daemon.url });
    const session = randomUUID();
    const client = connectOpenAi({ ...daemon, url: `http://${proxy.address}` }, retries);
    const answering = client.chat.completions.create(ask("#start=1500 hello", session));
    await until(async () => (await listRuns(daemon, session)).length === 1);
    proxy.cut();
    expect((await answering).choices[0]?.message.content).toBe("hello");
    await until(async () => (await listRuns(daemon, session)).every(({ status }) => status !== "running"));
    const statuses = (await listRuns(daemon, session)).map(({ status }) => status);
    expect(statuses).toEqual(["completed", "cancelled"]);
  });

  test("after a time-out of the client attaches as well", async () => {
    const session = randomUUID();
    const options = { ...retries, timeout: 400, headers: { "Idempotency-Key": randomUUID() } };
    const answer = await openai.chat.completions.create(ask("#start=700 hello", session), options);
    expect(answer.choices[0]?.message.content).toBe("hello");
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });

  test("of an answer that was given is the same answer, streamed or not", async () => {
    const session = randomUUID();
    const headers = { "Idempotency-Key": randomUUID() };
    const first = await openai.chat.completions.create(ask("say it once", session), { headers });
    expect(await openai.chat.completions.create(ask("say it once", session), { headers })).toEqual(first);
    const body = { ...ask("say it once", session), stream: true } as const;
    const chunks = await collect(await openai.chat.completions.create(body, { headers }));
    expect([chunks[0]?.id, textOf(chunks)]).toEqual([first.id, "say it once"]);
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });

  test("of a turn that failed is the same failure", async () => {
    const session = randomUUID();
    const headers = { "Idempotency-Key": randomUUID() };
    for (const _ of [1, 2]) {
      const refused = openai.chat.completions.create(ask("#crash hello", session), { headers });
      await expect(refused).rejects.toMatchObject({ status: 502, code: "runner_crashed" });
    }
    expect(await listRuns(daemon, session)).toHaveLength(1);
  });

  test("of what the daemon had no room for comes when it has, and is one run", async () => {
    await using limited = await startScriptedDaemon({ KSI_REQUESTS_PER_MINUTE: "120" });
    const impatient = connectOpenAi(limited.daemon, { maxRetries: 0 });
    const exhaust = async () => {
      for (;;) await impatient.models.list();
    };
    const refused = await exhaust().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RateLimitError);
    expect(refused).toMatchObject({ code: "rate_limit_exceeded" });
    const { headers } = refused as APIError;
    expect(headers?.get("x-should-retry")).toBe("true");
    expect(Number(headers?.get("retry-after-ms"))).toBeLessThanOrEqual(500);

    const session = randomUUID();
    const answer = await connectOpenAi(limited.daemon, retries).chat.completions.create(ask("hello", session));
    expect(answer.choices[0]?.message.content).toBe("hello");
    expect(await until(() => listRuns(limited.daemon, session).catch(() => undefined))).toHaveLength(1);
  });
});

describe("a client that leaves", () => {
  test("by aborting cancels its run", async () => {
    const session = randomUUID();
    const abort = new AbortController();
    const answering = openai.chat.completions.create(ask("#hang", session), { signal: abort.signal });
    const refused = expect(answering).rejects.toThrow(APIUserAbortError);
    const pid = await pidOf("#hang", session);
    abort.abort();
    await refused;
    await expectCancelled(session, pid);
  });

  test("by leaving the loop over its stream cancels its run", async () => {
    const session = randomUUID();
    const prompt = "#deltas=100000 #every=5";
    const stream = await openai.chat.completions.create({ ...ask(prompt, session), stream: true });
    for await (const _ of deltasOf(stream)) break;
    await expectCancelled(session, await pidOf(prompt, session));
  });

  test("by its own time-out cancels its run", async () => {
    const session = randomUUID();
    const options = { timeout: 1_500, maxRetries: 0 };
    const refused = openai.chat.completions.create(ask("#hang", session), options);
    await expect(refused).rejects.toThrow(APIConnectionTimeoutError);
    await expectCancelled(session);
  });

  /** Of the agent that was given this prompt. */
  function pidOf(prompt: string, session: string): Promise<number> {
    return until(async () => {
      const turns = await claude.turns();
      return turns.find((turn) => turn.prompt === prompt && turn.session_id === session)?.pid;
    });
  }

  async function expectCancelled(session: string, pid?: number): Promise<void> {
    await until(async () => (await listRuns(daemon, session))[0]?.status === "cancelled");
    expect(await listRuns(daemon, session)).toMatchObject([{ error: { code: "RUN_CANCELLED" } }]);
    if (pid !== undefined) expect(isAlive(pid)).toBe(false);
  }
});

test("nothing of this went anywhere else than to this machine", () => {
  expect(connections()).toEqual(["127.0.0.1"]);
});
