import { request } from "node:http";
import { text } from "node:stream/consumers";
import { KsiError } from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";
import { expect, test } from "vitest";
import { createTestClient, startTestDoors, type TestDoors } from "./testing/test-doors.ts";

const runId = "run-1";

test("the official client calls with the token, and is told what to do without it", async () => {
  await using doors = await startTestDoors({ ports: { agents: { list: async () => ({ agents: [] }) } } });
  await using client = createTestClient(doors);
  await using stranger = createTestClient({ url: doors.url });
  await using intruder = createTestClient({ url: doors.url, token: "another-token-altogether" });
  expect(await client.trpc.agents.list.query({})).toEqual({ agents: [] });
  for (const { trpc } of [stranger, intruder]) {
    const call = trpc.agents.list.query({});
    await expect(call).rejects.toMatchObject({ data: { httpStatus: 401, ksi: { code: "UNAUTHORIZED" } } });
    await expect(call).rejects.toThrow("ksi token");
  }
  expect(await stranger.trpc.system.health.query()).toMatchObject({ status: "ok" });
});

test("neither stack nor internal message reaches a caller, and the log has the cause", async () => {
  await using doors = await startTestDoors({ ports: { runs: { get: () => Promise.reject(new Error("secret")) } } });
  const response = await call(doors, `/trpc/runs.get?input=${encodeURIComponent('{"json":{"run_id":"r"}}')}`);
  const body = await response.text();
  expect(response.status).toBe(500);
  expect(body).not.toMatch(/secret|stack|\.ts/);
  expect(JSON.parse(body)).toMatchObject({ error: { json: { data: { ksi: { code: "INTERNAL" } } } } });
  const { fields } = doors.logged.find(({ level }) => level === "error") ?? {};
  expect(fields).toMatchObject({ procedure: "runs.get", err: expect.objectContaining({ message: "secret" }) });
});

test("errors of a port keep their code, details and HTTP status", async () => {
  const trimmed = new KsiError("HISTORY_TRIMMED", "Trimmed.", { details: { oldest: "1.2" } });
  await using doors = await startTestDoors({ ports: { runs: { get: () => Promise.reject(trimmed) } } });
  await using client = createTestClient(doors);
  await expect(client.trpc.runs.get.query({ run_id: runId })).rejects.toMatchObject({
    message: "Trimmed.",
    data: { httpStatus: 412, ksi: { code: "HISTORY_TRIMMED", details: { oldest: "1.2" } } },
  });
});

test.each(["content-length", "transfer-encoding"])(
  "a body over the limit, told by %s, is answered 413 in tRPC's shape",
  async (header) => {
    await using doors = await startTestDoors();
    const body = JSON.stringify({ 0: { json: { source: "a", event_type: "x.a", payload: "a".repeat(100_001) } } });
    const { status, text } = await post(doors, "/trpc/events.publish?batch=1", { body, header });
    expect(status).toBe(413);
    expect(JSON.parse(text)).toMatchObject([
      { error: { json: { data: { code: "PAYLOAD_TOO_LARGE", ksi: { code: "PAYLOAD_TOO_LARGE" } } } } },
    ]);
  },
);

test("a batch of more calls than allowed is refused as a whole", async () => {
  await using doors = await startTestDoors();
  const paths = Array.from({ length: 11 }, () => "system.health").join(",");
  expect((await call(doors, `/trpc/${paths}?batch=1&input={}`)).status).toBe(400);
});

test("a mutation cannot be called by GET, nor a query be turned into one by POST", async () => {
  await using doors = await startTestDoors();
  expect((await call(doors, "/trpc/system.shutdown")).status).toBe(405);
  const headers = { "content-type": "application/json" };
  expect((await call(doors, "/trpc/system.health", { method: "POST", headers })).status).toBe(405);
});

test("health needs no token and is 503 when Redis is away; ready is 503 while draining", async () => {
  let isRedisUp = true;
  let isDraining = false;
  await using doors = await startTestDoors({
    health: async () => ({ status: isRedisUp ? "ok" : "unavailable", version: "1.0.0" }),
    isDraining: () => isDraining,
  });
  expect((await fetch(`${doors.url}/health`)).status).toBe(200);
  expect((await fetch(`${doors.url}/ready`)).status).toBe(200);
  isRedisUp = false;
  isDraining = true;
  const health = await fetch(`${doors.url}/health`);
  expect([health.status, await health.json()]).toEqual([503, { status: "unavailable", version: "1.0.0" }]);
  expect((await fetch(`${doors.url}/ready`)).status).toBe(503);
});

test("another Host or Origin is refused before the token is looked at", async () => {
  await using doors = await startTestDoors();
  const spoofed = [{ host: "evil.example" }, { origin: "http://evil.example" }, { origin: "null" }];
  for (const headers of spoofed) {
    const { status, text } = await post(doors, "/trpc/system.shutdown", { headers });
    expect([status, JSON.parse(text).error.code]).toEqual([403, "FORBIDDEN"]);
  }
});

test("a page of an allowed origin may send what SDKs send and read all that comes back; another may not", async () => {
  const origin = "http://localhost:5173";
  await using doors = await startTestDoors({ allowedOrigins: [origin] });
  const asked = "authorization,content-type,idempotency-key,x-stainless-lang";
  const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": asked };
  const preflight = { method: "OPTIONS", headers };
  for (const path of ["/trpc/runs.spawn", "/api/v1/spawn", "/v1/chat/completions"]) {
    const allowed = await fetch(doors.url + path, preflight);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(origin);
    expect(allowed.headers.get("access-control-allow-headers")).toBe(asked);
  }
  const methods = { "/api/v1/state/plans/a": ["GET", "PUT", "DELETE"], "/api/v1/agents/a": ["DELETE"] };
  for (const [path, asked] of Object.entries(methods)) {
    for (const method of asked) {
      const wanted = { ...headers, "access-control-request-method": method };
      const allowed = await fetch(doors.url + path, { method: "OPTIONS", headers: wanted });
      expect(allowed.headers.get("access-control-allow-methods")?.split(/, ?/)).toContain(method);
    }
  }
  const answer = await call(doors, "/trpc/system.health", { headers: { origin } });
  expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
  expect(answer.headers.get("access-control-expose-headers")).toBe("*");
  headers.origin = "http://evil.example";
  expect((await fetch(`${doors.url}/trpc/runs.spawn`, preflight)).status).toBe(403);
});

test("a ticket opens one event stream, and nothing else", async () => {
  const generate = async function* () {
    yield { cursor: "1.1", event: { text: "hello" } };
  };
  await using doors = await startTestDoors({
    ports: { runs: { events: async () => createFakeFollow<never>("runs:run-1", generate as never) } },
  });
  const issued = await call(doors, "/api/v1/tickets", { method: "POST" });
  const { ticket, expires_in_ms } = (await issued.json()) as { ticket: string; expires_in_ms: number };
  expect(expires_in_ms).toBe(30_000);
  const input = encodeURIComponent(JSON.stringify({ json: { run_id: runId } }));
  const stream = `${doors.url}/trpc/runs.events?input=${input}&ticket=${ticket}`;
  const headers = { accept: "text/event-stream" };
  expect((await fetch(`${doors.url}/trpc/agents.list?ticket=${ticket}`)).status).toBe(401);
  expect(await (await fetch(stream, { headers })).text()).toContain("id: 1.1");
  expect(await (await fetch(stream, { headers })).text()).toContain("UNAUTHORIZED");
});

test("a ticket authorizes no call, whatever the call says that it accepts", async () => {
  await using doors = await startTestDoors();
  const headers = { accept: "text/event-stream", "content-type": "application/json" };
  const calls = {
    GET: ["/trpc/agents.list", "/api/v1/agents", "/v1/models"],
    POST: ["/trpc/system.shutdown", "/api/v1/shutdown", "/api/v1/tickets", "/v1/chat/completions"],
  };
  for (const [method, paths] of Object.entries(calls)) {
    for (const path of paths) {
      const { ticket } = doors.tickets.issue();
      const answer = await fetch(`${doors.url}${path}?ticket=${ticket}`, { method, headers });
      expect([path, answer.status]).toEqual([path, 401]);
    }
  }
});

test("a ticket is issued only for the token", async () => {
  await using doors = await startTestDoors();
  const response = await fetch(`${doors.url}/api/v1/tickets`, { method: "POST" });
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { code: "UNAUTHORIZED" } });
});

test("a path that is served refuses other methods with 405 and names its own", async () => {
  await using doors = await startTestDoors();
  for (const path of ["/health", "/ready", "/openapi.json", "/docs", "/ws", "/api/v1/tickets"]) {
    const allow = path === "/api/v1/tickets" ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
    const answer = await call(doors, path, { method: "PUT" });
    expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, allow]);
    expect(await answer.json()).toMatchObject({ error: { code: "METHOD_NOT_ALLOWED" } });
  }
});

test("OPTIONS that is no preflight names the methods of a path, without the token too", async () => {
  await using doors = await startTestDoors();
  const paths = { "/health": "GET", "/openapi.json": "GET", "/docs/": "GET", "/ws": "GET", "/api/v1/tickets": "POST" };
  for (const [path, method] of Object.entries({ ...paths, "/api/v1/spawn": "POST", "/v1/models": "GET" })) {
    const answer = await fetch(doors.url + path, { method: "OPTIONS" });
    const allow = method === "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
    expect([path, answer.status, answer.headers.get("allow"), await answer.text()]).toEqual([path, 204, allow, ""]);
  }
  const state = await fetch(`${doors.url}/api/v1/state/plans/a`, { method: "OPTIONS" });
  expect(state.headers.get("allow")?.split(", ").sort()).toEqual(["DELETE", "GET", "HEAD", "OPTIONS", "PUT"]);
});

test("HEAD is answered like GET, without a body", async () => {
  await using doors = await startTestDoors({ ports: { agents: { list: async () => ({ agents: [] }) } } });
  const statuses = { "/health": 200, "/openapi.json": 200, "/docs/": 200, "/api/v1/agents": 200, "/nothing": 404 };
  for (const [path, status] of Object.entries(statuses)) {
    const got = await call(doors, path);
    const head = await call(doors, path, { method: "HEAD" });
    expect([path, got.status, head.status, await head.text()]).toEqual([path, status, status, ""]);
    expect(head.headers.get("content-type")).toBe(got.headers.get("content-type"));
  }
});

test("under /v1 what is refused before the routes has OpenAI's shape, elsewhere that of REST", async () => {
  await using doors = await startTestDoors();
  const headers = { host: "evil.example" };
  const openAi = await post(doors, "/v1/chat/completions", { headers });
  expect([openAi.status, JSON.parse(openAi.text).error]).toEqual([
    403,
    { message: expect.any(String), type: "permission_error", param: null, code: "forbidden" },
  ]);
  const rest = await post(doors, "/api/v1/spawn", { headers });
  expect([rest.status, JSON.parse(rest.text).error]).toEqual([403, { message: expect.any(String), code: "FORBIDDEN" }]);
});

test("requests over the limit are RATE_LIMITED on every surface, each in its own shape", async () => {
  await using doors = await startTestDoors({
    requestsPerMinute: 3,
    ports: { agents: { list: async () => ({ agents: [] }) } },
  });
  for (const path of ["/trpc/agents.list", "/api/v1/agents", "/v1/models"]) {
    // None of them counts.
    expect((await fetch(doors.url + path)).status).toBe(401);
    expect((await fetch(`${doors.url}/health`)).status).toBe(200);
  }
  for (const path of ["/trpc/agents.list?input=%7B%22json%22%3A%7B%7D%7D", "/api/v1/agents"]) {
    expect([path, (await call(doors, path)).status]).toEqual([path, 200]);
  }
  const last = await call(doors, "/v1/models/none");
  expect(last.headers.get("x-ratelimit-limit-requests")).toBe("3");
  expect(last.headers.get("x-ratelimit-remaining-requests")).toBe("0");
  expect(last.headers.get("x-ratelimit-reset-requests")).toBe("1m0s");
  const refusals = {
    "/trpc/agents.list": { error: { json: { data: { ksi: { code: "RATE_LIMITED" } } } } },
    "/api/v1/agents": { error: { code: "RATE_LIMITED", retry_after_ms: expect.any(Number) } },
    "/api/v1/tickets": { error: { code: "RATE_LIMITED", retry_after_ms: expect.any(Number) } },
    "/v1/models": { error: { code: "rate_limit_exceeded", type: "rate_limit_error" } },
  };
  for (const [path, body] of Object.entries(refusals)) {
    const refused = await call(doors, path, { method: path.endsWith("tickets") ? "POST" : "GET" });
    expect([path, refused.status]).toEqual([path, 429]);
    expect(await refused.json()).toMatchObject(body);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(15);
  }
});

test("each request is one log line with method, path without query, status and the id the caller was told", async () => {
  await using doors = await startTestDoors();
  const response = await call(doors, "/nothing?ticket=secret", { headers: { "x-request-id": "mine-1" } });
  expect([response.status, response.headers.get("x-request-id")]).toEqual([404, "mine-1"]);
  expect(doors.logged).toEqual([
    {
      level: "info",
      message: "request",
      fields: { method: "GET", path: "/nothing", status: 404, ms: expect.any(Number), request_id: "mine-1" },
    },
  ]);
  const forged = await call(doors, "/nothing", { headers: { "x-request-id": "a b" } });
  expect(forged.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(forged.headers.get("x-content-type-options")).toBe("nosniff");
});

test("bytes that are no HTTP, and targets that are no path, are answered 400 and harm nobody", async () => {
  await using doors = await startTestDoors();
  expect((await post(doors, "/\\..\\x", {})).status).toBe(400);
  expect((await post(doors, "/trpc/%ff", { headers: { "content-type": "application/json" } })).status).toBe(400);
  expect((await fetch(`${doors.url}/health`)).status).toBe(200);
});

function call(doors: TestDoors, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(doors.url + path, {
    ...init,
    headers: { authorization: `Bearer ${doors.token}`, ...(init.headers as Record<string, string>) },
  });
}

interface Post {
  headers?: Record<string, string>;
  body?: string;
  /** How the length is told. */
  header?: string;
}

/** Unlike fetch this can lie about Host and Origin, and send bodies of unknown length. */
async function post(doors: TestDoors, path: string, { headers = {}, body, header }: Post) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const { hostname, port } = new URL(doors.url);
  const length = header === "content-length" && body ? { "content-length": String(Buffer.byteLength(body)) } : {};
  const sent = request({
    ...{ hostname, port, path, method: "POST" },
    headers: {
      ...{ "content-type": "application/json", authorization: `Bearer ${doors.token}` },
      ...(header === "transfer-encoding" && { "transfer-encoding": "chunked" }),
      ...length,
      ...headers,
    },
  });
  sent.on("error", reject);
  sent.on("response", (response) => {
    text(response).then((answer) => resolve({ status: response.statusCode ?? 0, text: answer }), reject);
  });
  sent.end(body);
  return await promise;
}
