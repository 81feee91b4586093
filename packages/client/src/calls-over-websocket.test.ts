import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { createKsiClient, type KsiClientOptions } from "./index.ts";
import { aMessage, type FakeDaemon, finalEvent, startFakeDaemon, texts } from "./testing/fake-daemon.ts";

const connect = ({ url, token }: Pick<FakeDaemon, "url" | "token">, options: Partial<KsiClientOptions> = {}) =>
  createKsiClient({ url, token, calls: "websocket", ...options });

const message = { source: "alice", target: "bob", event_type: "x.n", payload: 1 };

test("calls and what is followed share one WebSocket, and nothing goes over HTTP", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.log.append(...texts(1, 2), finalEvent);
  const run = await ksi.run({ prompt: "hi" });
  await Promise.all([ksi.runs.get(run.run_id), ksi.messages.send(message), Array.fromAsync(run.events())]);
  await ksi.state.set({ namespace: "room", key: "k", value: 1 });
  expect(daemon.sockets).toBe(1);
  expect(daemon.requests).toEqual([]);
});

test("a call whose answer was lost is made again where it may be, with the same key, and else rejects", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.faults.loseAnswers = 2;
  await ksi.messages.send(message);
  expect(daemon.sent).toHaveLength(3);
  const keys = new Set(daemon.sent.map(({ idempotency_key }) => idempotency_key));
  expect([...keys]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
  daemon.faults.loseAnswers = 1;
  const once = ksi.state.set({ namespace: "room", key: "k", value: 1 });
  await expect(once).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  expect(daemon.set).toHaveLength(1);
});

test("a daemon that is not there is told with its address, and one that comes back is found", async () => {
  await using daemon = await startFakeDaemon();
  await daemon.stop();
  await using hasty = connect(daemon, { retries: 0 });
  const { host } = new URL(daemon.url);
  await expect(hasty.system.health()).rejects.toMatchObject({
    code: "CONNECTION_LOST",
    message: expect.stringContaining(host),
  });
  let tries = 0;
  await using ksi = connect(daemon, { retries: 50, onConnection: ({ error }) => error && tries++ });
  const answered = ksi.runs.get(daemon.run_id);
  await until(() => tries >= 2);
  await daemon.start();
  expect(await answered).toMatchObject({ run_id: daemon.run_id });
});

test("errors arrive with code, message and fields, and refusals that pass are waited out", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  await expect(ksi.runs.get("nope")).rejects.toMatchObject({ code: "NOT_FOUND", message: "There is no run nope." });
  await expect(ksi.run({ prompt: "x", session_id: "NOT-A-UUID" })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    details: { issues: [{ path: "session_id" }] },
  });
  const unsendable = ksi.messages.send({ ...message, payload: { constructor: 1 } as never });
  await expect(unsendable).rejects.toMatchObject({ code: "INVALID_INPUT", message: expect.stringContaining("sent") });
  daemon.faults.refuse.push(new KsiError("STORE_UNAVAILABLE", "Redis is away."));
  await ksi.messages.send(message);
  await using stranger = connect({ url: daemon.url, token: "wrong" });
  await expect(stranger.runs.list()).rejects.toMatchObject({ code: "UNAUTHORIZED" });
});

test("a large input goes over HTTP, and many small ones in one tick never make a frame too large", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon, { retries: 0 });
  await ksi.messages.send({ ...message, payload: "x".repeat(20_000) });
  expect(daemon.requests).toHaveLength(1);
  const payload = "€".repeat(4_000);
  const sends = Array.from({ length: 1_500 }, () => ksi.messages.send({ ...message, payload }));
  await Promise.all(sends);
  expect(daemon.sent).toHaveLength(1_501);
  expect(daemon.requests).toHaveLength(1);
});

test("an abort rejects a call at once, whether it is under way or waits for its turn", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.faults.resultGate = new Promise(() => {});
  const abort = new AbortController();
  const payload = "x".repeat(15_000);
  const request = { ...message, payload, timeout_ms: 40_000 };
  const calls = Array.from({ length: 200 }, () => ksi.messages.request(request, { signal: abort.signal }));
  const codes = Promise.all(calls.map((call) => call.catch((error: unknown) => KsiError.from(error).code)));
  await until(() => daemon.requested.length > 100);
  const under = daemon.requested.length;
  expect(under).toBeLessThan(200);
  abort.abort();
  expect(new Set(await codes)).toEqual(new Set(["CANCELLED"]));
  await ksi.runs.get(daemon.run_id);
  expect(daemon.requested.length).toBe(under);
});

test("a socket that is closed or cut between calls is told, and the next call has another", async () => {
  await using daemon = await startFakeDaemon();
  const states: string[] = [];
  await using ksi = connect(daemon, { onConnection: ({ state }) => state !== states.at(-1) && states.push(state) });
  await ksi.runs.get(daemon.run_id);
  expect(ksi.connection.state).toBe("open");
  daemon.hangUp();
  await until(() => ksi.connection.state === "idle");
  await ksi.runs.get(daemon.run_id);
  expect(states).toEqual(["connecting", "open", "idle", "open"]);
  daemon.cut();
  await until(() => ksi.connection.state !== "open");
  await ksi.runs.get(daemon.run_id);
  expect(states.slice(4)).toEqual(["connecting", "open"]);
});

test("a move to a new socket that the daemon asks for leaves no call without its answer", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon, { retries: 0 });
  const gate = Promise.withResolvers<void>();
  daemon.faults.resultGate = gate.promise;
  const asked = ksi.messages.request({ ...message, timeout_ms: 40_000 });
  await until(() => daemon.requested.length === 1);
  daemon.askToReconnect();
  await until(() => daemon.sockets === 2);
  await ksi.messages.send(message);
  gate.resolve();
  expect(await asked).toMatchObject({ status: "replied" });
  await until(() => daemon.sockets === 1);
});

test("the socket stays for a next call and closes by itself after the last", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  await ksi.messages.ack({ agent_id: "bob", ids: [aMessage(1).id] });
  const loop = ksi.agents.inbox("bob")[Symbol.asyncIterator]();
  const next = loop.next();
  await until(() => daemon.inbox.open === 1);
  const doneAtMs = performance.now();
  await loop.return?.();
  await next;
  await until(() => daemon.sockets === 0);
  expect(performance.now() - doneAtMs).toBeGreaterThan(2_000);
  expect(ksi.connection.state).toBe("idle");
});
