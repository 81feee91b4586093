import { type Context, KsiError, type Ports } from "@ksi/contract";
import { expect, test } from "vitest";
import { createRestHandler } from "./rest-handler.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

const unused = () => Promise.reject(new Error("not part of this test"));

function portsWith(spawn: Ports["runs"]["spawn"]): Ports {
  return {
    runs: { spawn, get: unused, list: unused, result: unused, cancel: unused, events: unused },
    sessions: { list: unused, get: unused, messages: unused, delete: unused },
    agents: { register: unused, unregister: unused, get: unused, list: unused, heartbeat: unused },
    messages: {
      ...{ send: unused, request: unused, history: unused, inbox: unused },
      ...{ sendBatch: unused, ack: unused, nack: unused, deadLetters: unused, redrive: unused },
    },
    profiles: { list: unused, get: unused },
    state: { get: unused, set: unused, delete: unused, list: unused },
    events: { publish: unused, subscribe: unused },
    system: { status: unused, health: unused, shutdown: unused },
  };
}

function serve(spawn: Ports["runs"]["spawn"]) {
  const answer = createRestHandler({
    createContext: ({ request }): Context => ({
      health: async () => ({ status: "ok", version: "1.0.0" }),
      ports: request.headers.has("authorization") ? portsWith(spawn) : undefined,
    }),
  });
  return async (body: string, headers: Record<string, string> = { authorization: "Bearer t" }) => {
    const request = new Request("http://localhost/api/v1/spawn", {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
    const response = await answer(request);
    return { status: response.status, body: await response.json(), headers: response.headers };
  };
}

test("a procedure is served at its path, with what the predecessor's clients send beside", async () => {
  const post = serve(async ({ prompt }) => ({ status: "accepted", run_id: "r-1", session_id, message: prompt }));
  const { status, body } = await post(JSON.stringify({ command: "SPAWN", timestamp: 1, prompt: "Hello" }));
  expect([status, body]).toEqual([200, { status: "accepted", run_id: "r-1", session_id, message: "Hello" }]);
});

test("errors have KSI's codes, statuses and details", async () => {
  const post = serve(async () => {
    throw new KsiError("CONFLICT", "Used before.", { details: { run_id: "r-1" } });
  });
  expect(await post('{"prompt":"Hello"}')).toMatchObject({
    status: 409,
    body: { error: { code: "CONFLICT", message: "Used before.", run_id: "r-1" } },
  });
  expect(await post('{"prompt":""}')).toMatchObject({
    status: 422,
    body: { error: { code: "INVALID_INPUT", issues: [{ path: "prompt", message: "must not be empty" }] } },
  });
  expect(await post("{")).toMatchObject({ status: 400, body: { error: { code: "MALFORMED_REQUEST" } } });
  const stranger = await post('{"prompt":"Hello"}', {});
  expect(stranger).toMatchObject({ status: 401, body: { error: { code: "UNAUTHORIZED" } } });
  expect(stranger.headers.get("www-authenticate")).toBe("Bearer");
});
