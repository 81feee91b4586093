import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Json, KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test, vi } from "vitest";
import { WebSocket as WsWebSocket } from "ws";
import { z } from "zod";
import { createKsiClient, type Image, type KsiClient } from "./index.ts";
import { aMessage, aRun, type FakeDaemon, finalEvent, startFakeDaemon, texts } from "./testing/fake-daemon.ts";

const connect = ({ url, token }: FakeDaemon, retries?: number): KsiClient => createKsiClient({ url, token, retries });

test("a run whose answer was lost on the way is asked for again and started once", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const before = daemon.runs.size;
  daemon.faults.loseAnswers = 2;
  const run = await ksi.run({ prompt: "What is 2+2?", model: "echo" });
  expect(daemon.spawned).toHaveLength(3);
  expect(new Set(daemon.spawned.map(({ idempotency_key }) => idempotency_key)).size).toBe(1);
  expect(daemon.runs.size).toBe(before + 1);
  expect(daemon.runs.has(run.run_id)).toBe(true);
});

test("two equal requests are two runs, and an idempotency key of the caller's is kept", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const [first, second] = [await ksi.run({ prompt: "hi" }), await ksi.run({ prompt: "hi" })];
  expect(first.run_id).not.toBe(second.run_id);
  await ksi.run({ prompt: "hi", idempotency_key: "mine" });
  expect(daemon.spawned.at(-1)?.idempotency_key).toBe("mine");
});

test("a message whose answer was lost is asked for again and sent once", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.faults.loseAnswers = 2;
  const message = { source: "alice", target: "bob", event_type: "HELLO", payload: {} };
  const sent = await ksi.messages.send(message);
  expect(daemon.sent).toHaveLength(3);
  const keys = new Set(daemon.sent.map(({ idempotency_key }) => idempotency_key));
  expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
  expect((await ksi.messages.send(message)).id).not.toBe(sent.id);
  await ksi.messages.send({ ...message, idempotency_key: "mine" });
  expect(daemon.sent.at(-1)?.idempotency_key).toBe("mine");
});

const bob = { agent_id: "bob" };
const room = { namespace: "room", key: "k" };
const request = { source: "alice", target: "bob", event_type: "x.sum", payload: [2, 2] };

test.for<[name: string, isRepeated: boolean, make: (ksi: KsiClient) => Promise<unknown>]>([
  ["agents.register", true, (ksi) => ksi.agents.register(bob)],
  ["agents.heartbeat", true, (ksi) => ksi.agents.heartbeat("bob")],
  ["messages.sendBatch", true, (ksi) => ksi.messages.sendBatch([{ source: "a", event_type: "x.n", payload: 1 }])],
  ["messages.ack", true, (ksi) => ksi.messages.ack({ ...bob, ids: [aMessage(1).id] })],
  ["messages.redrive", true, (ksi) => ksi.messages.redrive(bob)],
  ["state.get", true, (ksi) => ksi.state.get("room", "k")],
  ["state.set with if_version", false, (ksi) => ksi.state.set({ ...room, value: 1, if_version: 0 })],
  ["state.set", false, (ksi) => ksi.state.set({ ...room, value: 1 })],
  ["state.delete with if_version", false, (ksi) => ksi.state.delete({ ...room, if_version: 1 })],
  ["state.delete", false, (ksi) => ksi.state.delete(room)],
  ["messages.request", false, (ksi) => ksi.messages.request(request)],
])("a lost answer to %s: is it asked for again? %s", async ([name, isRepeated, make]) => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.faults.loseAnswers = 1;
  const outcome = await make(ksi).then(
    () => "answered",
    (error: unknown) => KsiError.from(error).code,
  );
  expect(outcome).toBe(isRepeated ? "answered" : "CONNECTION_LOST");
  const path = name.split(" ")[0] ?? "";
  expect(daemon.requests.filter((url) => url.includes(path))).toHaveLength(isRepeated ? 2 : 1);
});

test("a request is answered with the reply, and given up some time after the daemon should have", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  expect((await ksi.messages.request(request)).reply).toMatchObject({ source: "bob", target: "alice" });
  daemon.faults.resultGate = new Promise(() => {});
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    for (const [timeout_ms, lastsMs] of [
      [undefined, 45_000],
      [20_000, 35_000],
    ] as const) {
      const codes: string[] = [];
      const asked = daemon.requested.length;
      const waiting = ksi.messages.request({ ...request, ...(timeout_ms && { timeout_ms }) });
      const told = waiting.catch((error: unknown) => codes.push(KsiError.from(error).code));
      while (daemon.requested.length === asked) await new Promise((resolve) => setImmediate(resolve));
      await vi.advanceTimersByTimeAsync(lastsMs - 1);
      expect(codes).toEqual([]);
      await vi.advanceTimersByTimeAsync(1);
      await told;
      expect(codes).toEqual(["TIMEOUT"]);
    }
  } finally {
    vi.useRealTimers();
  }
});

test("a request that waits for longer than an HTTP request may be silent waits over the WebSocket", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  await ksi.messages.request({ ...request, timeout_ms: 50_001 });
  expect(daemon.requested).toMatchObject([{ timeout_ms: 50_001 }]);
  expect(daemon.requests).toEqual([]);
  await ksi.messages.request({ ...request, timeout_ms: 50_000 });
  expect(daemon.requests).toHaveLength(1);
  await until(() => daemon.sockets === 0);
});

test("queries and spawns are repeated while the store is away or the daemon restarts, and refusals are not", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.faults.refuse.push(new KsiError("STORE_UNAVAILABLE", "Redis is away."));
  expect((await ksi.runs.get(daemon.run_id)).run_id).toBe(daemon.run_id);
  daemon.faults.refuse.push(new KsiError("SHUTTING_DOWN", "The daemon is stopping."));
  await ksi.run({ prompt: "hi" });
  daemon.faults.refuse.push(new KsiError("CONFLICT", "Another body."), new KsiError("CONFLICT", "Not asked for."));
  await expect(ksi.run({ prompt: "hi" })).rejects.toMatchObject({ code: "CONFLICT", message: "Another body." });
});

test("a daemon that is not there is told with its address and what to do", async () => {
  const daemon = await startFakeDaemon();
  await daemon.stop();
  await using ksi = connect(daemon, 0);
  const error = await ksi.system.health().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KsiError);
  expect(error).toMatchObject({ code: "CONNECTION_LOST", message: expect.stringContaining(daemon.url) });
  expect((error as KsiError).message).toContain("ksi serve");
});

test.for([
  [200, "text/html", "<h1>hello</h1>", "CONNECTION_LOST"],
  [413, "text/html", "too large", "PAYLOAD_TOO_LARGE"],
  [502, "text/html", "bad gateway", "CONNECTION_LOST"],
  [403, "application/json", '{"error":{"code":"FORBIDDEN","message":"This host is not served."}}', "FORBIDDEN"],
] as const)("an answer %i of %s that is not tRPC's is told as %s", async ([status, type, body, code]) => {
  const server = createServer((_, res) => res.writeHead(status, { "content-type": type }).end(body));
  await using _closing = { [Symbol.asyncDispose]: async () => void server.close() };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using ksi = createKsiClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, retries: 0 });
  await expect(ksi.system.health()).rejects.toMatchObject({ code });
});

test("an error of the daemon arrives with its code, message and fields", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  await expect(ksi.runs.get("nope")).rejects.toMatchObject({ code: "NOT_FOUND", message: "There is no run nope." });
  await expect(ksi.run({ prompt: "x", session_id: "NOT-A-UUID" })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringContaining("session_id"),
    details: { issues: [{ path: "session_id" }] },
  });
  await using stranger = createKsiClient({ url: daemon.url });
  await expect(stranger.runs.list()).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  expect(await stranger.system.health()).toMatchObject({ status: "ok" });
});

test("calls of one tick share requests of at most ten, and a wait for a result holds none of them up", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  const gate = Promise.withResolvers<void>();
  daemon.faults.resultGate = gate.promise;
  daemon.requests.length = 0;
  const result = run.result();
  await Promise.all(Array.from({ length: 25 }, () => ksi.runs.get(daemon.run_id)));
  expect(daemon.requests.filter((url) => url.includes("runs.get"))).toHaveLength(3);
  daemon.runs.set(daemon.run_id, aRun({ run_id: daemon.run_id, status: "completed", result: "4" }));
  gate.resolve();
  expect((await result).result).toBe("4");
});

test("result waits until the run is final, however often the daemon answers that it is not", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  const result = run.result();
  await until(() => daemon.requests.filter((url) => url.includes("runs.result")).length === 2);
  const usage = { input_tokens: 1, output_tokens: 2 };
  const final = { run_id: run.run_id, status: "completed", result: "4", usage, cost_usd: 0.01 } as const;
  daemon.runs.set(run.run_id, aRun(final));
  expect(await result).toMatchObject({ ...final, text: "4", session_id: run.session_id, model: "echo" });
});

test("the result of a run that did not complete is its error", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  const error = { code: "RUN_CANCELLED", message: "Somebody cancelled the run." } as const;
  daemon.runs.set(run.run_id, aRun({ run_id: run.run_id, status: "cancelled", error }));
  await expect(run.result()).rejects.toMatchObject({ ...error, details: { run_id: run.run_id } });
});

test("what no call can carry is refused before anything is sent, and what JSON cannot hold by the daemon", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const loop: Json[] = [];
  loop.push({ loop });
  const deep = JSON.parse("[".repeat(20_000) + "]".repeat(20_000)) as Json;
  const send = (payload: Json) => ksi.messages.send({ source: "alice", event_type: "HELLO", payload });
  for (const payload of [{ constructor: 1 }, JSON.parse('{"__proto__":1}'), { prototype: [] }, deep] as Json[]) {
    const refused = { code: "INVALID_INPUT", message: expect.stringContaining("cannot be sent") };
    await expect(send(payload)).rejects.toMatchObject(refused);
    await expect(ksi.run({ prompt: "x", metadata: { payload } })).rejects.toMatchObject(refused);
  }
  expect(daemon.requests).toEqual([]);
  const output = z.object({ constructor: z.string() });
  await expect(ksi.run({ prompt: "x", output })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  for (const payload of [loop, 1n as unknown as Json]) {
    await expect(send(payload)).rejects.toMatchObject({ code: "INVALID_INPUT", details: { issues: [{}] } });
  }
  expect([...daemon.sent, ...daemon.spawned]).toEqual([]);
});

test("images go with the prompt, in their order", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const images: Image[] = [
    { media_type: "image/png", data: btoa("first") },
    { media_type: "image/webp", data: btoa("second") },
  ];
  await ksi.run({ prompt: "What changed?", images });
  expect(daemon.spawned[0]?.images).toEqual(images);
});

test("a cancel carries its reason and its grace, from the run and by its id", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const { run_id } = daemon;
  const run = await ksi.runs.attach(run_id);
  await run.cancel();
  await run.cancel("enough", { grace_ms: 0 });
  await ksi.runs.cancel(run_id, "enough", { grace_ms: 300 });
  await ksi.runs.cancel(run_id, undefined, { signal: new AbortController().signal });
  expect(daemon.cancelled).toEqual([
    { run_id },
    { run_id, reason: "enough", grace_ms: 0 },
    { run_id, reason: "enough", grace_ms: 300 },
    { run_id },
  ]);
});

test("a schema is sent as JSON Schema, and its result is validated and transformed", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const output = z.object({ day: z.string().transform((day) => day.toUpperCase()) });
  const run = await ksi.run({ prompt: "Which day?", output });
  expect(daemon.spawned[0]?.output_schema).toMatchObject({
    $schema: "http://json-schema.org/draft-07/schema#",
    properties: { day: { type: "string" } },
  });
  const completed = aRun({ run_id: run.run_id, status: "completed", result: "It is monday." });
  daemon.runs.set(run.run_id, { ...completed, output: { day: "monday" } });
  expect(await run.result()).toMatchObject({ result: { day: "MONDAY" }, text: "It is monday." });
  daemon.runs.set(run.run_id, { ...completed, output: { day: 1 } });
  await expect(run.result()).rejects.toMatchObject({
    code: "OUTPUT_INVALID",
    details: { issues: [{ path: "day" }], run_id: run.run_id },
  });
  const again = await ksi.runs.attach(run.run_id, { output: z.object({ day: z.number() }) });
  expect((await again.result()).result.day).toBe(1);
});

test("a schema that JSON Schema cannot say is refused before anything is sent", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const refused = ksi.run({ prompt: "x", output: z.object({ at: z.date() }) });
  await expect(refused).rejects.toMatchObject({ code: "INVALID_INPUT", message: expect.stringContaining("output") });
  expect(daemon.spawned).toEqual([]);
});

test("an abort rejects the call at once with CANCELLED, and an expired signal with TIMEOUT", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.faults.resultGate = new Promise(() => {});
  const abort = new AbortController();
  const result = run.result({ signal: abort.signal });
  await until(() => daemon.requests.some((url) => url.includes("runs.result")));
  abort.abort();
  await expect(result).rejects.toMatchObject({ code: "CANCELLED" });
  await expect(run.result({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: "TIMEOUT" });
  await expect(ksi.runs.list({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "CANCELLED" });
});

test("closing ends calls and loops, and a closed client says so", async () => {
  await using daemon = await startFakeDaemon();
  const ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.faults.resultGate = new Promise(() => {});
  const result = run.result();
  const next = run.events()[Symbol.asyncIterator]().next();
  await until(() => daemon.log.open === 1);
  const rejected = expect(result).rejects.toMatchObject({ code: "CANCELLED" });
  await ksi.close();
  await rejected;
  expect(await next).toEqual({ done: true, value: undefined });
  await until(() => daemon.sockets === 0);
  await expect(ksi.system.status()).rejects.toMatchObject({ message: expect.stringContaining("closed") });
});

test.for(["", "localhost:8000", "ftp://localhost", "nonsense"])("a url such as %j is refused by name", (url) => {
  expect(() => createKsiClient({ url })).toThrow(
    expect.objectContaining({ code: "INVALID_INPUT", message: expect.stringMatching(/^url:/) }),
  );
});

test("the raw tRPC client is there for the rest", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  expect((await ksi.trpc.runs.list.query({ limit: 1 })).runs).toHaveLength(1);
});

test("where the runtime has no WebSocket calls work, and a loop says what to pass", async () => {
  await using daemon = await startFakeDaemon();
  const { WebSocket: own } = globalThis;
  Reflect.deleteProperty(globalThis, "WebSocket");
  try {
    await using ksi = createKsiClient(daemon);
    expect(await ksi.system.health()).toMatchObject({ status: "ok" });
    const [event] = await Array.fromAsync(ksi.events.subscribe()).catch((error: unknown) => [error]);
    expect(event).toMatchObject({ code: "INVALID_INPUT", message: expect.stringContaining("`ws`") });
  } finally {
    globalThis.WebSocket = own;
  }
});

test("the class of the package ws can be passed", async () => {
  await using daemon = await startFakeDaemon();
  daemon.log.append(...texts(1, 1), finalEvent);
  await using ksi = createKsiClient({ ...daemon, webSocket: WsWebSocket });
  const run = await ksi.run({ prompt: "x" });
  expect(await Array.fromAsync(run.events())).toHaveLength(2);
});
