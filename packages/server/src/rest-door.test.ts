import {
  type AckInput,
  type InboxInput,
  KsiError,
  type Message,
  type RunEvent,
  type SendInput,
  type SpawnInput,
  type StateDeleteInput,
  type StateSetInput,
} from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";
import { expect, test } from "vitest";
import { startTestDoors, type TestDoors, type TestDoorsOptions } from "./testing/test-doors.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

test("a procedure is called at its path, with plain JSON both ways", async () => {
  const spawned: SpawnInput[] = [];
  await using doors = await startTestDoors({
    ports: {
      runs: {
        spawn: async (input) => {
          spawned.push(input);
          return { status: "accepted", run_id: "run-1", session_id, message: "Accepted." };
        },
      },
    },
  });
  const answer = await post(doors, "/api/v1/spawn", { prompt: "hello", command: "SPAWN" });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(await answer.json()).toEqual({ status: "accepted", run_id: "run-1", session_id, message: "Accepted." });
  expect(spawned).toEqual([{ prompt: "hello", enable_tools: true, priority: 50 }]);
});

test("what the path names and what the body or query holds are one input, by PUT and DELETE too", async () => {
  const given: (StateSetInput | StateDeleteInput | AckInput)[] = [];
  const facts = { version: 4, updated_at: "2026-01-01T00:00:00.000Z" };
  await using doors = await startTestDoors({
    ports: {
      state: {
        set: async (input) => {
          given.push(input);
          return { status: "set", namespace: input.namespace, key: input.key, ...facts };
        },
        delete: async (input) => {
          given.push(input);
          return { status: "deleted", namespace: input.namespace, key: input.key };
        },
      },
      messages: {
        ack: async (input) => {
          given.push(input);
          return { status: "acked", acked: 1 };
        },
      },
    },
  });
  const key = "release/1 + 2?#%";
  const path = `/api/v1/state/plans/${encodeURIComponent(key)}`;
  const body = { value: { "2": null }, if_version: 3, source: "planner", key: "another", unknown: 1 };
  const set = await post(doors, path, body, "PUT");
  expect([set.status, await set.json()]).toEqual([200, { status: "set", namespace: "plans", key, ...facts }]);
  const deleted = await call(doors, `${path}?if_version=4&key=another`, { method: "DELETE" });
  expect([deleted.status, await deleted.json()]).toEqual([200, { status: "deleted", namespace: "plans", key }]);
  const ids = ["5a2c1f0e-7b3d-4c8e-a1f2-9d0e6b4c3a21"];
  expect((await post(doors, "/api/v1/agents/bob/inbox/ack", { ids, agent_id: "eve" })).status).toBe(200);
  expect(given).toEqual([
    { namespace: "plans", key, value: { "2": null }, if_version: 3, source: "planner" },
    { namespace: "plans", key, if_version: 4 },
    { agent_id: "bob", ids },
  ]);
});

test("a body that need not be there may be left out, and one that must be there is 422 by its fields", async () => {
  const given: unknown[] = [];
  await using doors = await startTestDoors({
    ports: {
      messages: {
        redrive: async (input) => {
          given.push(input);
          return { status: "redriven", redriven: 0 };
        },
      },
    },
  });
  for (const init of [{}, { body: "{}", headers: { "content-type": "application/json" } }]) {
    expect((await call(doors, "/api/v1/agents/bob/inbox/redrive", { method: "POST", ...init })).status).toBe(200);
  }
  expect(given).toEqual([{ agent_id: "bob" }, { agent_id: "bob" }]);
  const unset = await call(doors, "/api/v1/state/plans/a", { method: "PUT" });
  expect([unset.status, await unset.json()]).toMatchObject([422, { error: { issues: [{ path: "value" }] } }]);
});

test("a capability may be one or several, and arrives as it was sent", async () => {
  const sent: SendInput[] = [];
  await using doors = await startTestDoors({
    ports: {
      messages: {
        send: async (input) => {
          sent.push(input);
          return { status: "sent", id: "m-1", target: "bob", recipients: 1 };
        },
      },
    },
  });
  const message = { source: "alice", event_type: "HELLO", payload: null };
  for (const capability of ["review", ["review", "plan"], ["review"]]) {
    expect((await post(doors, "/api/v1/messages", { ...message, capability })).status).toBe(200);
  }
  expect(sent.map(({ capability }) => capability)).toEqual(["review", ["review", "plan"], ["review"]]);
});

test("an inbox is followed as its query says", async () => {
  const asked: InboxInput[] = [];
  await using doors = await startTestDoors({
    ports: {
      messages: {
        inbox: async (input) => {
          asked.push(input);
          return createFakeFollow<Message>("agents:bob:inbox", async function* () {});
        },
      },
    },
  });
  const path = "/api/v1/agents/bob/inbox";
  for (const query of ["", "?mode=shared&prefetch=5", "?from=oldest&last_event_id=1.7&mode=each"]) {
    expect((await call(doors, path + query)).status).toBe(204);
  }
  expect(asked).toEqual([
    { agent_id: "bob", mode: "each", prefetch: 100 },
    { agent_id: "bob", mode: "shared", prefetch: 5 },
    { agent_id: "bob", mode: "each", prefetch: 100, from: "oldest", lastEventId: "1.7" },
  ]);
  const wrong = await call(doors, `${path}?mode=both&prefetch=0`);
  expect([wrong.status, await wrong.json()]).toMatchObject([
    422,
    { error: { issues: [{ path: "mode" }, { path: "prefetch" }] } },
  ]);
});

test("without the token a call is 401 before its input is looked at, and a path that is not served 404", async () => {
  await using doors = await startTestDoors();
  const headers = { "content-type": "application/json" };
  const refused = await fetch(`${doors.url}/api/v1/spawn`, { method: "POST", headers, body: "{" });
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  expect(await refused.json()).toEqual({
    error: { code: "UNAUTHORIZED", message: expect.stringContaining("ksi token") },
  });
  const unknown = await call(doors, "/api/v1/nothing");
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: { code: "NOT_FOUND" } }]);
});

test("what fails its schema is 422 with its fields, what is no JSON 400, another method 405 with Allow", async () => {
  await using doors = await startTestDoors();
  const invalid = await post(doors, "/api/v1/spawn", { prompt: "", priority: "high" });
  expect(invalid.status).toBe(422);
  expect(await invalid.json()).toMatchObject({
    error: { code: "INVALID_INPUT", issues: [{ path: "prompt" }, { path: "priority" }] },
  });
  const headers = { "content-type": "application/json" };
  const malformed = await call(doors, "/api/v1/spawn", { method: "POST", headers, body: "{" });
  expect([malformed.status, await malformed.json()]).toMatchObject([400, { error: { code: "MALFORMED_REQUEST" } }]);
  const wrong = await call(doors, "/api/v1/spawn");
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, OPTIONS"]);
  expect(await wrong.json()).toMatchObject({ error: { code: "METHOD_NOT_ALLOWED" } });
});

test("a body over the daemon's limit is 413 on REST, whether it says its length or not", async () => {
  await using doors = await startTestDoors();
  const text = JSON.stringify({ prompt: "a".repeat(100_001) });
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
  for (const body of [text, chunked]) {
    const headers = { "content-type": "application/json" };
    const init: RequestInit & { duplex: "half" } = { method: "POST", headers, body, duplex: "half" };
    const refused = await call(doors, "/api/v1/spawn", init);
    expect([refused.status, await refused.json()]).toMatchObject([413, { error: { code: "PAYLOAD_TOO_LARGE" } }]);
  }
});

test("what breaks inside is 500 without a word of it, and the log has procedure, request and cause", async () => {
  await using doors = await startTestDoors({ ports: { runs: { get: () => Promise.reject(new Error("secret")) } } });
  const answer = await call(doors, "/api/v1/runs/run-1", { headers: { "x-request-id": "mine-1" } });
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toMatch(/secret|stack|\.ts/);
  const { fields } = doors.logged.find(({ level }) => level === "error") ?? {};
  expect(fields).toMatchObject({ procedure: "runs.get", request_id: "mine-1", err: { message: "secret" } });
});

test("an event stream resumes after the Last-Event-ID of its header or query", async () => {
  const asked: unknown[] = [];
  await using doors = await startTestDoors(runFollowedAs([text("Hello")], { onAsk: (from) => asked.push(from) }));
  const path = "/api/v1/runs/run-1/events";
  const answer = await call(doors, path, { headers: { "last-event-id": "7.1" } });
  expect(await answer.text()).toBe(`id: 1.1\ndata: ${JSON.stringify(text("Hello"))}\n\n`);
  await (await call(doors, `${path}?last_event_id=7.2`)).text();
  // An EventSource connects again with the URL that it has, and a header that is newer.
  await (await call(doors, `${path}?last_event_id=7.2`, { headers: { "last-event-id": "7.3" } })).text();
  await (await call(doors, `${path}?from=now`)).text();
  expect(asked).toEqual([{ lastEventId: "7.1" }, { lastEventId: "7.2" }, { lastEventId: "7.3" }, { from: "now" }]);
});

test("a stream that has nothing more is 204, so that an EventSource stays away", async () => {
  await using doors = await startTestDoors(runFollowedAs([]));
  const answer = await call(doors, "/api/v1/runs/run-1/events");
  expect([answer.status, await answer.text(), answer.headers.get("content-type")]).toEqual([204, "", null]);
});

test("a stream that fails before its first event is answered with the status, later with an error event", async () => {
  const trimmed = new KsiError("HISTORY_TRIMMED", "Trimmed.", { details: { oldest: "1.7", reason: "trimmed" } });
  const error = { code: "HISTORY_TRIMMED", message: "Trimmed.", oldest: "1.7", reason: "trimmed" };
  await using unopened = await startTestDoors(runFollowedAs([], { thenThrow: trimmed }));
  const refused = await call(unopened, "/api/v1/runs/run-1/events");
  expect([refused.status, await refused.json()]).toEqual([412, { error }]);
  await using broken = await startTestDoors(runFollowedAs([text("Hello")], { thenThrow: trimmed }));
  const cut = await call(broken, "/api/v1/runs/run-1/events");
  expect(cut.status).toBe(200);
  expect(await cut.text()).toMatch(new RegExp(`\\nevent: error\\ndata: ${JSON.stringify({ error })}\\n\\n$`));
});

test("a ticket opens one event stream of REST, and nothing else", async () => {
  await using doors = await startTestDoors(runFollowedAs([text("Hello")]));
  const headers = { accept: "text/event-stream" };
  const { ticket } = doors.tickets.issue();
  const url = `${doors.url}/api/v1/runs/run-1/events?ticket=${ticket}`;
  expect(await (await fetch(url, { headers })).text()).toContain("id: 1.1");
  const again = await fetch(url, { headers });
  expect(again.status).toBe(401);
  expect(await again.text()).toContain("used or expired");
  const unused = doors.tickets.issue().ticket;
  expect((await fetch(`${doors.url}/api/v1/agents?ticket=${unused}`, { headers })).status).toBe(401);
});

test("opening an event stream is not counted, since an EventSource that is refused gives up for good", async () => {
  await using doors = await startTestDoors({ ...runFollowedAs([text("Hello")]), requestsPerMinute: 1 });
  for (let opened = 0; opened < 3; opened++) {
    expect((await call(doors, "/api/v1/runs/run-1/events")).status).toBe(200);
  }
  expect((await call(doors, "/api/v1/agents")).status).not.toBe(429);
  expect((await call(doors, "/api/v1/agents")).status).toBe(429);
});

function call(doors: TestDoors, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(doors.url + path, {
    ...init,
    headers: { authorization: `Bearer ${doors.token}`, ...(init.headers as Record<string, string>) },
  });
}

function post(doors: TestDoors, path: string, body: object, method = "POST"): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return call(doors, path, { method, headers, body: JSON.stringify(body) });
}

function text(said: string): RunEvent {
  return {
    id: "e",
    source: "ksi",
    timestamp: "2026-01-01T00:00:00.000Z",
    run_id: "run-1",
    session_id,
    event_type: "run.text",
    payload: { text: said },
  };
}

function runFollowedAs(
  events: RunEvent[],
  { thenThrow, onAsk }: { thenThrow?: Error; onAsk?: (from: unknown) => void } = {},
): TestDoorsOptions {
  const generate = async function* () {
    for (const [index, event] of events.entries()) yield { cursor: `1.${index + 1}`, event };
    if (thenThrow) throw thenThrow;
  };
  return {
    ports: {
      runs: {
        events: async (_run, from) => {
          onAsk?.(from);
          return createFakeFollow("runs:run-1", generate);
        },
      },
    },
  };
}
