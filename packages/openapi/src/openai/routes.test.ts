import { KsiError } from "@ksi/contract";
import { expect, test } from "vitest";
import { modelList, openAiError } from "./chat-schemas.ts";
import { createOpenAiRoutes } from "./routes.ts";
import { ask, chatRequest, hello } from "./testing/ask.ts";
import { createFakePorts } from "./testing/fake-ports.ts";

const get = (path: string, method = "GET") => new Request(`http://ksi.test${path}`, { method });

async function errorOf(response: Response) {
  return { status: response.status, ...openAiError.parse(await response.json()).error };
}

test("an unknown path is 404, a known one with another method 405 with those it has", async () => {
  const handler = createOpenAiRoutes(createFakePorts());
  for (const path of ["/v1", "/v1/", "/v1/chat", "/v1/embeddings", "/v1/models/"]) {
    expect(await errorOf(await handler(get(path)))).toMatchObject({ status: 404, code: "not_found" });
  }
  const wrong = await handler(get("/v1/chat/completions"));
  expect(wrong.headers.get("allow")).toBe("POST, OPTIONS");
  expect(await errorOf(wrong)).toMatchObject({ status: 405, code: "method_not_allowed" });
  expect((await handler(get("/v1/models", "DELETE"))).headers.get("allow")).toBe("GET, HEAD, OPTIONS");
  const options = await handler(get("/v1/models/a/b", "OPTIONS"));
  expect([options.status, options.headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
});

test("a caller whom the ports are refused is 401, before its body is read", async () => {
  const handler = createOpenAiRoutes(() => {
    throw new KsiError("UNAUTHORIZED", "No key.");
  });
  for (const request of [get("/v1/models"), chatRequest("{")]) {
    expect(await errorOf(await handler(request))).toMatchObject({ status: 401, code: "invalid_api_key" });
  }
});

test("ports are found for each request", async () => {
  const [mine, yours] = [createFakePorts((run) => run.complete()), createFakePorts((run) => run.complete())];
  const handler = createOpenAiRoutes(async (request) => (request.headers.has("x-mine") ? mine : yours));
  await ask(handler, hello, { headers: { "x-mine": "1" } });
  expect([mine.spawned.length, yours.spawned.length]).toEqual([1, 0]);
});

test.each([
  ["no JSON", "{", {}, 400, "malformed_request"],
  ["no body", "", {}, 400, "malformed_request"],
  ["no object", "[1]", {}, 400, "invalid_input"],
  ["a form", "a=b", { "content-type": "application/x-www-form-urlencoded" }, 415, "unsupported_media_type"],
  ["another charset", "{}", { "content-type": "application/json; charset=utf-16" }, 415, "unsupported_media_type"],
  ["an encoding", "{}", { "content-encoding": "gzip" }, 415, "unsupported_media_type"],
  ["too much", JSON.stringify({ ...hello, user: "x".repeat(600) }), {}, 413, "payload_too_large"],
])("a body that is %s is refused", async (_, body, headers, status, code) => {
  const fake = createFakePorts();
  const handler = createOpenAiRoutes(fake, { maxBodyBytes: 500 });
  expect(await errorOf(await ask(handler, body, { headers }))).toMatchObject({ status, code });
  expect(fake.spawned).toHaveLength(0);
});

test("a body that says its length wrongly, or not at all, is read no further than the limit", async () => {
  let pulled = 0;
  const endless = new ReadableStream({
    pull(controller) {
      pulled += 1;
      controller.enqueue(new Uint8Array(1_000).fill(32));
    },
  });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: endless, duplex: "half" };
  const handler = createOpenAiRoutes(createFakePorts(), { maxBodyBytes: 5_000 });
  const response = await handler(new Request("http://ksi.test/v1/chat/completions", init as RequestInit));
  expect(response.status).toBe(413);
  expect(pulled).toBeLessThan(10);
});

test("the models are those that available runners list, and the default one", async () => {
  const fake = createFakePorts();
  fake.status = {
    default_model: "opusplan",
    runners: [
      { name: "claude", available: true, models: ["sonnet", "opus"] },
      { name: "local", available: true, models: ["openai/gpt-oss", "sonnet"] },
      { name: "echo", available: false, models: ["echo"] },
    ],
  };
  const handler = createOpenAiRoutes(fake);
  const { data } = modelList.parse(await (await handler(get("/v1/models"))).json());
  expect(data.map(({ id, owned_by }) => [id, owned_by])).toEqual([
    ["sonnet", "claude"],
    ["opus", "claude"],
    ["openai/gpt-oss", "local"],
    ["opusplan", "ksi"],
  ]);
  for (const path of ["/v1/models/openai/gpt-oss", "/v1/models/openai%2Fgpt-oss"]) {
    expect(await (await handler(get(path))).json()).toEqual(data[2]);
  }
  expect(await errorOf(await handler(get("/v1/models/gpt-0")))).toMatchObject({ status: 404, code: "model_not_found" });
  expect(await errorOf(await handler(get("/v1/models/%E0%A4")))).toMatchObject({ status: 400 });
});

test("a model whose program is missing is neither listed nor named in advice, also where it is the default", async () => {
  const fake = createFakePorts();
  const claude = { name: "claude", available: false, models: ["sonnet", "opus"], advice: "Install it." };
  fake.status = { default_model: "sonnet", runners: [claude, { name: "echo", available: true, models: ["echo"] }] };
  const handler = createOpenAiRoutes(fake);
  const { data } = modelList.parse(await (await handler(get("/v1/models"))).json());
  expect(data.map(({ id }) => id)).toEqual(["echo"]);
  const messageOf = async () => (await errorOf(await handler(get("/v1/models/gpt-0")))).message;
  expect(await messageOf()).toBe("There is no model gpt-0. Ready here: echo.");
  fake.status = { default_model: "sonnet", runners: [claude] };
  expect(await messageOf()).toMatch(/No other is ready here either/);
});

test("every answer says how long it took and, if asked to, its request id", async () => {
  const handler = createOpenAiRoutes(createFakePorts(), {
    requestId: (request) => `req:${new URL(request.url).pathname}`,
  });
  for (const path of ["/v1/models", "/v1/nothing"]) {
    const { headers } = await handler(get(path));
    expect(headers.get("x-request-id")).toBe(`req:${path}`);
    expect(Number(headers.get("openai-processing-ms"))).toBeGreaterThanOrEqual(0);
    expect(headers.get("x-ksi-overhead-ms")).toMatch(/^\d+\.\d$/);
  }
});

test("a fault of ours is told in full to the log, and not to the caller", async () => {
  const reported: KsiError[] = [];
  const cause = new TypeError("secret");
  const ports = () => Promise.reject(cause);
  const handler = createOpenAiRoutes(ports, { onError: ({ error }) => void reported.push(error) });
  const text = await (await handler(get("/v1/models"))).text();
  expect(text).not.toContain("secret");
  expect(reported).toMatchObject([{ code: "INTERNAL", cause }]);
});
