/**
 * The OpenAPI document and a whole daemon, held against each other: what the document says is valid is taken, what it
 * says is not is refused, and every answer is one that it describes.
 *
 * `KSI_FUZZ_SEED` draws other requests, and `KSI_FUZZ_RUNS` more of them for each operation.
 */
import { randomUUID } from "node:crypto";
import { readKsiDocument } from "@ksi/openapi/ksi";
import { until } from "@ksi/testing";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type Operation, readApiDocument } from "./conformance/api-document.ts";
import { faultsOfAnswer, faultsOfError, faultsOfRefused, faultsOfTaken } from "./conformance/check.ts";
import { faultsOf, type Input, inputsOf, toRequest } from "./conformance/input.ts";
import { mannersOf, wrongMethods } from "./conformance/manners.ts";
import { plant, plantFaults } from "./conformance/planted.ts";
import { type Answer, type ApiRequest, send } from "./conformance/send.ts";
import { spoil } from "./conformance/spoil.ts";
import { createSteering } from "./conformance/steering.ts";
import { startSurroundings } from "./conformance/surroundings.ts";
import { createValues } from "./conformance/values.ts";
import { startLiveDaemon } from "./live-daemon.ts";

const seed = Number(process.env.KSI_FUZZ_SEED ?? 20_261_121);
const numRuns = Number(process.env.KSI_FUZZ_RUNS ?? 30);
console.info(`KSI_FUZZ_SEED=${seed} KSI_FUZZ_RUNS=${numRuns}`);

const text = readKsiDocument();
const document = readApiDocument(text);
const live = await startSurroundings();
afterAll(() => live[Symbol.asyncDispose]());
const { url, token } = live.daemon;
const { runs, sessions, agents, namespace, keys, profiles } = live.known;
const values = createValues(document, createSteering(live.known));
const ask = (request: ApiRequest) => send(url, request);

const named = document.operations
  // It ends the daemon, and has one of its own below.
  .filter(({ id }) => id !== "system_shutdown")
  // What removes things comes last.
  .toSorted((a, b) => Number(a.method === "DELETE") - Number(b.method === "DELETE"))
  .map((operation): [string, Operation] => [operation.name, operation]);

test("the daemon serves the document that is checked in", async () => {
  expect((await ask({ method: "GET", path: "/openapi.json", headers: {} })).body).toBe(text);
});

describe("what the document says is not valid is refused", () => {
  // Their only parameters take any text.
  const takesAnything = ["openai_models_get", "openapi_document"];
  const violable = named.filter(([, { id, parameters, body }]) => {
    return (parameters.length > 0 || body) && !takesAnything.includes(id);
  });

  test.for(violable)("%s", async ([, operation]) => {
    let refused = 0;
    await forInputsOf(operation, async (input, pick) => {
      const spoiled = spoil(document, operation, input, pick);
      if (!spoiled) return [];
      refused++;
      const answer = await ask(toRequest(operation, spoiled.input, token));
      const faults = faultsOfRefused(document, operation, [spoiled.status], answer);
      return faults.map((fault) => `${spoiled.what}, and it ${fault}`);
    });
    expect(refused).toBeGreaterThan(numRuns / 2);
  });
});

describe("what comes with any request is read as HTTP has it", () => {
  test.for(named)("%s", async ([, operation]) => {
    const input = plainInputOf(operation);
    const usual = await ask(toRequest(operation, input, token));
    expect(usual.status).toBe(operation.path === "/ws" ? 426 : operation.method === "DELETE" ? 404 : 200);
    const faults: string[] = [];
    for (const { what, request, statuses = [usual.status] } of mannersOf({ document, operation, input, token })) {
      const answer = await ask(request);
      faults.push(...faultsOfRefused(document, operation, statuses, answer).map((fault) => `${what}: ${fault}`));
    }
    expect(faults).toEqual([]);
  });

  test.for(named)("other methods of %s", async ([, operation]) => {
    const input = plainInputOf(operation);
    const { allow, requests } = wrongMethods({ document, operation, input, token });
    for (const request of requests) {
      const answer = await ask(request);
      expect([request.method, answer.status, allowOf(answer)]).toEqual([request.method, 405, allow]);
      expect(faultsOfError(document, operation.path, answer)).toEqual([]);
    }
    const request = toRequest(operation, input, token);
    const preflight = { ...request.headers, origin: url, "access-control-request-method": operation.method };
    const asked = await ask({ ...request, method: "OPTIONS", headers: preflight });
    expect([asked.status, asked.body]).toEqual([204, ""]);
    const options = await ask({ ...request, method: "OPTIONS" });
    expect([options.status, options.body, allowOf(options)]).toEqual([204, "", allow]);
    if (operation.method !== "GET") return;
    const [head, get] = [await ask({ ...request, method: "HEAD" }), await ask(request)];
    expect([head.status, head.body, namesOf(head)]).toEqual([get.status, "", namesOf(get)]);
  });

  test("a path that is not served is 404", async () => {
    const [run] = runs;
    const paths = ["/", "/api", "/api/v1", "/api/v1/nothing", `/api/v1/runs/${run}/nothing`, "/v1/nothing", "/ws/x"];
    for (const path of [...paths, "/api/v1//runs", "/v1/models/", "/%2e%2e/etc/passwd", "/health/x", "/API/V1/RUNS"]) {
      const answer = await ask({ method: "GET", path, headers: { authorization: `Bearer ${token}` } });
      expect([path, answer.status, faultsOfError(document, path, answer)]).toEqual([path, 404, []]);
    }
  });
});

describe("a fault in the document is reported", () => {
  const planted = plantFaults(text, { runId: runs[0] ?? "", agentId: agents[0] ?? "" });

  test.for(planted)("as $what", async ({ text, operation, input, report }) => {
    const wrong = readApiDocument(text);
    const look = async () => {
      const answer = await ask(toRequest(document.operation(operation), input, token));
      expect(faultsOfAnswer(document, document.operation(operation), answer)).toEqual([]);
      return faultsOfTaken(wrong, wrong.operation(operation), input, answer);
    };
    let faults = await look();
    // A stream is read for so short a time that a busy daemon may have told nothing by then.
    for (let looks = 1; looks < 20 && faults.length === 0; looks++) faults = await look();
    expect(faults).toContainEqual(expect.stringMatching(report));
  });

  test("as something taken that should not be", async () => {
    const model = ["components", "schemas", "SpawnInput", "properties", "model"];
    const strict = readApiDocument(plant(text, model, { const: "opus" }));
    const spawn = strict.operation("runs_spawn");
    const input = { path: {}, query: {}, header: {}, body: { prompt: "hi", model: "echo" } };
    expect(faultsOf(strict, spawn, input)).toEqual(["body: /model must be equal to constant"]);
    const faults = faultsOfRefused(strict, spawn, [422], await ask(toRequest(spawn, input, token)));
    expect(faults).toEqual([expect.stringMatching(/^answered 200 in place of 422/)]);
  });

  test("as a status of the daemon's fault, documented or not, and an answer without its id", () => {
    const operation = document.operation("runs_list");
    const body = JSON.stringify({ error: { code: "INTERNAL", message: "Something went wrong." } });
    const answer = { status: 500, headers: { "content-type": "application/json", "x-request-id": "1" }, body };
    expect(faultsOfAnswer(document, operation, answer)).toEqual([expect.stringMatching(/^answered 500/)]);
    expect(faultsOfAnswer(document, operation, { ...answer, status: 503 })).toEqual([
      expect.stringMatching(/^answered 503/),
    ]);
    const { "x-request-id": _, ...headers } = answer.headers;
    expect(faultsOfAnswer(document, operation, { ...answer, headers })).toContain("answered without x-request-id");
  });
});

describe("what the document says is valid is taken", () => {
  test.for(named)("%s", async ([, operation]) => {
    const statuses = new Set<number>();
    await forInputsOf(operation, async (input) => {
      expect(faultsOf(document, operation, input)).toEqual([]);
      const answer = await ask(toRequest(operation, input, token));
      statuses.add(answer.status);
      return faultsOfTaken(document, operation, input, answer);
    });
    // Else nothing was found of what was asked for.
    if (operation.path !== "/ws") expect(Math.min(...statuses)).toBeLessThan(300);
  });
});

test.for([false, true])("a chat (stream: %s) whose run somebody cancels is answered as documented", async (stream) => {
  const chat = document.operation("openai_chat_completions");
  const session_id = randomUUID();
  const metadata = { session_id, echo: { delay_ms: 60_000 } };
  const body = { model: "echo", messages: [{ role: "user", content: "hi" }], stream, metadata };
  const asked = ask(toRequest(chat, { path: {}, query: {}, header: {}, body }, token));
  const run = await until(async () => (await live.ksi.runs.list({ session_id })).runs[0], {
    message: "there is a run",
  });
  await live.ksi.runs.cancel(run.run_id);
  const answer = await asked;
  expect([answer.status, faultsOfAnswer(document, chat, answer)]).toEqual([499, []]);
});

test("a daemon that is told to stop says so as documented, and stops", async () => {
  await using stopping = await startLiveDaemon({ env: { KSI_DEFAULT_MODEL: "echo" } });
  const { daemon, ksi } = stopping;
  const to = (id: string, body?: object) =>
    // A connection that is kept would be closed at some moment.
    toRequest(document.operation(id), { path: {}, query: {}, header: {}, body }, daemon.token, { connection: "close" });
  const shutdown = document.operation("system_shutdown");
  const options = { document, operation: shutdown, input: plainInputOf(shutdown), token: daemon.token };
  for (const { what, request, statuses } of mannersOf(options)) {
    if (!statuses) continue;
    expect([what, faultsOfRefused(document, shutdown, statuses, await send(daemon.url, request))]).toEqual([what, []]);
  }

  const { run_id } = await ksi.run({ prompt: "it takes its time", metadata: { echo: { delay_ms: 500 } } });
  await until(async () => (await ksi.runs.get(run_id)).status === "running", {
    message: "there is something to wait for",
  });
  const answer = await send(daemon.url, to("system_shutdown"));
  expect([answer.status, faultsOfAnswer(document, shutdown, answer)]).toEqual([200, []]);
  const hello = { model: "echo", messages: [{ role: "user", content: "hi" }] };
  const refused = { ready: undefined, runs_spawn: { prompt: "hi" }, openai_chat_completions: hello };
  for (const [id, body] of Object.entries(refused)) {
    const late = await send(daemon.url, to(id, body));
    expect([id, late.status, faultsOfAnswer(document, document.operation(id), late, true)]).toEqual([id, 503, []]);
  }
  expect(await daemon.stop()).toBe(0);
});

async function forInputsOf(
  operation: Operation,
  faultsFor: (input: Input, pick: number) => Promise<string[]>,
): Promise<void> {
  const property = fc.asyncProperty(inputsOf(operation, values), fc.nat(1_000), async (input, pick) => {
    const faults = await faultsFor(input, pick);
    if (faults.length > 0) throw new Error(faults.join("\n"));
  });
  await fc.assert(property, { seed, numRuns, interruptAfterTimeLimit: 20_000 });
}

/** With the document's example as body, and nothing else that need not be. What removes things gets what is not there. */
function plainInputOf({ method, path, body }: Operation): Input {
  const ofRuns = { run_id: runs[0], session_id: sessions[0], model: "echo" };
  const filled = { ...ofRuns, agent_id: agents[0], namespace, key: keys[0], name: profiles[0] };
  const missing = { session_id: "00000000-0000-4000-8000-000000000000", agent_id: "nobody", namespace, key: "nothing" };
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const from: Record<string, string | undefined> = method === "DELETE" ? missing : filled;
  return {
    path: Object.fromEntries(names.map((name) => [name, from[name]])),
    query: {},
    header: {},
    body: withEcho(body?.example),
  };
}

/** A model that needs no process. */
function withEcho(example: unknown): unknown {
  return typeof example === "object" && example !== null && "model" in example
    ? { ...example, model: "echo" }
    : example;
}

function allowOf({ headers }: Answer): string[] {
  return (headers.allow ?? "").split(", ").sort();
}

/** Of the headers that are not about how the body travels. */
function namesOf({ headers }: Answer): string[] {
  const ofTransport = ["connection", "keep-alive", "transfer-encoding", "content-length"];
  return Object.keys(headers)
    .filter((name) => !ofTransport.includes(name))
    .sort();
}
