/** What calls carry in superjson's form: richer values as they are, and what is hostile refused, at the doors. */
import { once } from "node:events";
import type { CustomEvent, PublishInput, RunsListInput, SendInput } from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";
import superjson from "superjson";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createTestClient, startTestDoors } from "./testing/test-doors.ts";

const sent: SendInput[] = [];
const listed: RunsListInput[] = [];
const published: PublishInput[] = [];
const doors = await startTestDoors({
  maxBodyBytes: 2_000_000,
  ports: {
    messages: {
      send: async (input) => {
        sent.push(input);
        return { status: "sent", id: "m1", recipients: 1 };
      },
    },
    runs: {
      list: async (input) => {
        listed.push(input);
        return { runs: [] };
      },
    },
    events: {
      publish: async (input) => {
        published.push(input);
        return { status: "published", id: "e1" };
      },
      subscribe: async () => createFakeFollow("events:broadcast", delivered),
    },
  },
});
afterAll(() => doors[Symbol.asyncDispose]());
beforeEach(() => {
  for (const list of [sent, listed, published, doors.logged]) list.length = 0;
});

const message = { source: "alice", event_type: "HELLO" };
const strangeKeys = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"prototype":2,"a":3}';

/** An event as a log could hold it that was written by something else. */
async function* delivered() {
  const event: CustomEvent = {
    id: "e1",
    source: "alice",
    event_type: "x.strange",
    timestamp: "2026-11-21T00:00:00.000Z",
    payload: JSON.parse(strangeKeys),
  };
  yield { cursor: "1.1", event };
}

function expectUnharmed() {
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect("polluted" in {}).toBe(false);
  expect(doors.logged.filter(({ level }) => level === "error")).toEqual([]);
  expect([...sent, ...published]).toEqual([]);
}

describe.for([
  { name: "HTTP", overSocket: false },
  { name: "WebSocket", overSocket: true },
])("over $name the official client", ({ overSocket }) => {
  const client = createTestClient({ ...doors, overSocket });
  afterAll(() => client[Symbol.asyncDispose]());
  const { messages, runs } = client.trpc;

  test("leaves fields away by giving undefined, in queries and mutations", async () => {
    await messages.send.mutate({ ...message, target: undefined, payload: { n: 1 } });
    expect(sent).toEqual([{ ...message, payload: { n: 1 } }]);
    await runs.list.query({ status: undefined, session_id: undefined, limit: 7 });
    expect(listed).toEqual([{ limit: 7 }]);
  });

  test("sends the same object twice in one payload", async () => {
    const same = { list: [1, 2] };
    await messages.send.mutate({ ...message, payload: { first: same, second: [same] } });
    expect(sent).toEqual([{ ...message, payload: { first: same, second: [same] } }]);
  });

  test.for<[string, unknown, string]>([
    ["a Date", new Date(0), "Date"],
    ["a Map", new Map([["a", 1]]), "Map"],
    ["a Set", new Set([1]), "Set"],
    ["a bigint", 1n, "bigint"],
    ["undefined", undefined, "undefined"],
    ["NaN", Number.NaN, "NaN"],
    ["a URL", new URL("http://127.0.0.1"), "URL"],
    ["a regular expression", /x/, "regexp"],
    ["an error", new Error("x"), "Error"],
    ["bytes", new Uint8Array(2), "Uint8Array"],
  ])("is told by the field's name that a payload holds %s", async ([_what, value, kind]) => {
    const payload = { list: [{ at: value }] };
    // @ts-expect-error: the type takes JSON only; a program in JavaScript may try all the same
    await expect(messages.send.mutate({ ...message, payload })).rejects.toMatchObject({
      data: {
        ksi: {
          code: "INVALID_INPUT",
          details: { issues: [{ path: "payload.list.0.at", message: expect.stringContaining(kind) }] },
        },
      },
    });
    expectUnharmed();
  });

  test("is told by its name which other field has the wrong kind of value", async () => {
    // @ts-expect-error: a text is wanted
    const sending = messages.send.mutate({ ...message, source: new Date(), payload: null });
    await expect(sending).rejects.toMatchObject({ data: { ksi: { details: { issues: [{ path: "source" }] } } } });
    // @ts-expect-error: a number is wanted
    const listing = runs.list.query({ limit: 5n });
    await expect(listing).rejects.toMatchObject({ data: { ksi: { details: { issues: [{ path: "limit" }] } } } });
  });
});

/** Answers with what the caller is told: the error, or undefined. */
const ways = {
  async HTTP(path: string, input: string): Promise<unknown> {
    const response = await fetch(`${doors.url}/trpc/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${doors.token}`, "content-type": "application/json" },
      body: input,
    });
    const { error } = (await response.json()) as { error?: { json: { data: { ksi: unknown } } } };
    if (error) expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    return error?.json.data.ksi;
  },
  async "an HTTP batch"(path: string, input: string): Promise<unknown> {
    const response = await fetch(`${doors.url}/trpc/${path}?batch=1`, {
      method: "POST",
      headers: { authorization: `Bearer ${doors.token}`, "content-type": "application/json" },
      body: `{"0":${input}}`,
    });
    const [{ error }] = (await response.json()) as [{ error?: { json: { data: { ksi: unknown } } } }];
    return error?.json.data.ksi;
  },
  async WebSocket(path: string, input: string): Promise<unknown> {
    const socket = new WebSocket(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
    await once(socket, "open");
    socket.send(`{"id":7,"method":"mutation","params":{"path":"${path}","input":${input}}}`);
    const [data] = await once(socket, "message");
    socket.close();
    const { id, error } = JSON.parse(String(data)) as { id: number; error?: { json: { data: { ksi: unknown } } } };
    expect(id, "the answer is that of the call").toBe(7);
    return error?.json.data.ksi;
  },
};

const meta = (json: object, rest: object) => JSON.stringify({ json, meta: { v: 1, ...rest } });
const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}${"]}".repeat(levels / 2)}`;
const withPayload = (payload: string) => `{"json":{"source":"alice","event_type":"HELLO","payload":${payload}}}`;
const levels = Array.from({ length: 60 }, (_, level) => level);
const laughs = meta(
  { ...message, payload: Object.fromEntries(levels.map((level) => [`l${level}`, { a: {}, b: {} }])) },
  {
    referentialEqualities: Object.fromEntries(
      levels.slice(1).map((level) => [`payload.l${level - 1}`, [`payload.l${level}.a`, `payload.l${level}.b`]]),
    ),
  },
);
const self = meta({ ...message, payload: { a: null } }, { referentialEqualities: { payload: ["payload.a"] } });
const hostile: [string, string, { code: string; message: string }][] = [
  ["an input without superjson's wrapping", '{"prompt":"hi"}', { code: "MALFORMED_REQUEST", message: '{"json": …}' }],
  ["meta through __proto__", meta(message, { values: { "__proto__.polluted": ["number"] } }), malformed("__proto__")],
  [
    "meta through constructor.prototype",
    meta(message, { values: { "source.constructor.prototype.polluted": ["number"] } }),
    malformed("source.constructor"),
  ],
  [
    "equal objects through __proto__",
    meta(message, { referentialEqualities: { source: ["__proto__.polluted"] } }),
    malformed("__proto__"),
  ],
  ["meta of a place that is not there", meta(message, { values: { nowhere: ["Date"] } }), malformed("nowhere")],
  ["meta of a kind that there is not", meta(message, { values: { source: ["toString"] } }), invalid("source")],
  [
    "an array of 8 GB",
    meta({ ...message, payload: 1e9 }, { values: { payload: [["typed-array", "Float64Array"]] } }),
    invalid("payload"),
  ],
  ["an object that holds itself", self, invalid("payload.a")],
  ["a key __proto__", withPayload(strangeKeys), invalid("payload.")],
  ["a key constructor", withPayload('{"a":{"constructor":1}}'), invalid("payload.a.constructor")],
  ["a key prototype", withPayload('[{"prototype":1}]'), invalid("payload.0.prototype")],
  ["10,000 levels", withPayload(nested(10_000)), invalid("payload")],
  ["100,000 levels", withPayload(nested(100_000)), invalid("payload")],
  ["a payload of 1 MB", withPayload(`"${"a".repeat(1_000_000)}"`), invalid("payload")],
  ["a payload of 500,000 numbers", withPayload(`[${"1,".repeat(500_000)}1]`), invalid("payload")],
];

function malformed(words: string) {
  return { code: "MALFORMED_REQUEST", message: words };
}

function invalid(field: string) {
  return { code: "INVALID_INPUT", message: field };
}

describe.for(Object.entries(ways))("over %s", ([_name, call]) => {
  test.for(hostile)("%s is refused, and it is said what is wrong", async ([_what, input, { code, message: words }]) => {
    const startedAt = performance.now();
    expect(await call("messages.send", input)).toMatchObject({ code, message: expect.stringContaining(words) });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expectUnharmed();
  });

  test("what claims to be in itself sixty times over is taken as it was sent", async () => {
    expect(await call("messages.send", laughs)).toBeUndefined();
    expect(sent).toEqual([superjson.deserialize({ json: JSON.parse(laughs).json })]);
  });

  test("keys that cannot travel are refused in all fields of JSON", async () => {
    const fields: [string, string][] = [
      ["runs.spawn", '{"prompt":"x","metadata":{"__proto__":1}}'],
      ["runs.spawn", '{"prompt":"x","output_schema":{"properties":{"constructor":{}}}}'],
      ["agents.register", '{"agent_id":"a","metadata":{"a":{"prototype":1}}}'],
      ["events.publish", `{"source":"a","event_type":"x.a","payload":${strangeKeys}}`],
    ];
    for (const [path, json] of fields) {
      expect(await call(path, `{"json":${json}}`)).toMatchObject({
        code: "INVALID_INPUT",
        details: { issues: [{ path: expect.stringMatching(/\.(?:__proto__|constructor|prototype)$/) }] },
      });
    }
    expectUnharmed();
  });
});

test("over REST keys that cannot travel, and 100,000 levels, are refused by the name of their field", async () => {
  for (const payload of [strangeKeys, nested(100_000)]) {
    const response = await fetch(`${doors.url}/api/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${doors.token}`, "content-type": "application/json" },
      body: `{"source":"alice","event_type":"HELLO","payload":${payload}}`,
    });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      error: { code: "INVALID_INPUT", message: expect.stringMatching(/^payload/) },
    });
  }
  expectUnharmed();
});

test("a body over the limit is PAYLOAD_TOO_LARGE, alone or in a batch", async () => {
  const input = withPayload(`"${"a".repeat(2_000_000)}"`);
  for (const call of [ways.HTTP, ways["an HTTP batch"]]) {
    const answer = await call("messages.send", input);
    expect(answer).toMatchObject({ code: "PAYLOAD_TOO_LARGE", message: expect.stringContaining("2000000") });
  }
  expectUnharmed();
});

test("a caller without the token is told so, whatever the input says", async () => {
  const socket = new WebSocket(doors.socketUrl);
  await once(socket, "open");
  socket.send(`{"id":7,"method":"mutation","params":{"path":"messages.send","input":${self}}}`);
  const [data] = await once(socket, "message");
  socket.close();
  expect(JSON.parse(String(data))).toMatchObject({
    id: 7,
    error: { json: { data: { ksi: { code: "UNAUTHORIZED" } } } },
  });
});

test("an event that holds such keys all the same reaches the official client, and harms nothing there", async () => {
  await using client = createTestClient(doors);
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  client.trpc.events.subscribe.subscribe({}, { onData: ({ data }) => resolve(data.payload), onError: reject });
  const payload = (await promise) as Record<string, unknown>;
  expect(Object.getPrototypeOf(payload)).toBe(Object.prototype);
  // `__proto__` is left away by superjson's copy.
  expect(Object.entries(payload)).toEqual([
    ["constructor", { prototype: { polluted: 1 } }],
    ["prototype", 2],
    ["a", 3],
  ]);
  expectUnharmed();
});
