import { once } from "node:events";
import { connect } from "node:net";
import { KsiError } from "@ksi/contract";
import { createFakeFollow, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { closeCodes } from "./close-codes.ts";
import { createTestClient, startTestDoors, type TestDoorsOptions } from "./testing/test-doors.ts";
import { run, textEvent } from "./testing/text-event.ts";
import { untilStill } from "./testing/until-still.ts";

test("the official client follows a run over the socket, and its cursor is the tracked id", async () => {
  await using doors = await startTestDoors({
    ports: { runs: { events: async () => followTexts(["Hello", "world"]) } },
  });
  await using client = createTestClient(doors);
  expect(await collect(client)).toEqual([
    { id: "1.1", text: "Hello" },
    { id: "1.2", text: "world" },
  ]);
});

test.each<[string, NonNullable<TestDoorsOptions["ports"]>]>([
  ["while it is being opened", { runs: { events: () => Promise.reject(trimmed()) } }],
  ["before its first event", { runs: { events: async () => followTexts([], trimmed()) } }],
  ["after an event", { runs: { events: async () => followTexts(["Hello"], trimmed()) } }],
])("a subscription that fails %s gives the client the code and the details", async (_when, ports) => {
  await using doors = await startTestDoors({ ports });
  await using client = createTestClient(doors);
  await expect(collect(client)).rejects.toMatchObject({
    data: { code: "PRECONDITION_FAILED", ksi: { code: "HISTORY_TRIMMED", details: { oldest: "1.7" } } },
  });
});

test("what breaks inside a subscription is not told to the client", async () => {
  await using doors = await startTestDoors({
    ports: { runs: { events: async () => followTexts([], new Error("secret")) } },
  });
  await using client = createTestClient(doors);
  const following = collect(client);
  await expect(following).rejects.toMatchObject({ data: { ksi: { code: "INTERNAL" } } });
  await expect(following).rejects.not.toThrow("secret");
  await until(() => doors.logged.some(({ level }) => level === "error"), { message: "the cause is logged" });
});

test("a wrong token is answered UNAUTHORIZED, and the socket is closed with its code", async () => {
  await using doors = await startTestDoors({ unauthorizedGraceMs: 500 });
  await using client = createTestClient({ url: doors.url, token: "another-token-altogether", overSocket: true });
  await expect(client.trpc.agents.list.query({})).rejects.toMatchObject({ data: { ksi: { code: "UNAUTHORIZED" } } });
  const socket = await open(`${doors.socketUrl}?connectionParams=1`);
  socket.send(JSON.stringify({ method: "connectionParams", data: { token: "another-token-altogether" } }));
  expect(await closeCode(socket)).toBe(closeCodes.unauthorized);
});

test("a socket that shows no token at all is closed with the same code", async () => {
  await using doors = await startTestDoors({ unauthorizedGraceMs: 50 });
  expect(await closeCode(await open(doors.socketUrl))).toBe(closeCodes.unauthorized);
});

test("a caller whose upgrade was refused cannot keep the daemon from stopping", async () => {
  await using doors = await startTestDoors();
  const caller = connect({ port: Number(new URL(doors.url).port), host: "127.0.0.1", allowHalfOpen: true }).resume();
  caller.write("GET /trpc HTTP/1.1\r\nHost: evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  await once(caller, "end");
  await doors[Symbol.asyncDispose]();
  caller.destroy();
});

test("a client that announces connectionParams and never sends them is closed", async () => {
  await using doors = await startTestDoors({ connectionParamsTimeoutMs: 50 });
  const socket = await open(`${doors.socketUrl}?connectionParams=1`);
  expect(await closeCode(socket)).toBe(closeCodes.connectionParamsTimeout);
});

test("a ticket opens one socket, without connectionParams", async () => {
  await using doors = await startTestDoors({
    unauthorizedGraceMs: 500,
    ports: { agents: { list: async () => ({ agents: [] }) } },
  });
  const url = `${doors.socketUrl}?ticket=${doors.tickets.issue().ticket}`;
  const socket = await open(url);
  expect(await ask(socket, "agents.list")).toMatchObject({ result: { data: { json: { agents: [] } } } });
  const second = await open(url);
  expect(await ask(second, "agents.list")).toMatchObject({ error: { json: { data: { code: "UNAUTHORIZED" } } } });
  expect(await closeCode(second)).toBe(closeCodes.unauthorized);
  socket.close();
});

test.each<[string, ClientOptions, number]>([
  ["another Origin", { origin: "http://evil.example" }, 403],
  ["another Host", { headers: { host: "evil.example" } }, 403],
  ["a Host with an impossible port", { headers: { host: "localhost:99999" } }, 403],
])("an upgrade from %s is refused", async (_what, options, status) => {
  await using doors = await startTestDoors();
  expect(await refusal(new WebSocket(doors.socketUrl, options))).toBe(status);
});

test("other paths, sockets over the limit and a draining daemon refuse the upgrade", async () => {
  let isDraining = false;
  await using doors = await startTestDoors({ maxSockets: 1, isDraining: () => isDraining });
  expect(await refusal(new WebSocket(doors.socketUrl.replace("/trpc", "//")))).toBe(404);
  const socket = await open(doors.socketUrl);
  expect(await refusal(new WebSocket(doors.socketUrl))).toBe(503);
  socket.close();
  await once(socket, "close");
  isDraining = true;
  expect(await refusal(new WebSocket(doors.socketUrl))).toBe(503);
});

test("a key has only so many sockets, of both kinds together, and closing one makes room", async () => {
  await using doors = await startTestDoors({
    maxSocketsPerKey: 1,
    ports: { events: { subscribe: async () => createFakeFollow("events:broadcast", async function* () {}) } },
  });
  const headers = { authorization: `Bearer ${doors.token}` };
  const first = await open(doors.socketUrl, { headers });
  expect(await closeCode(await open(doors.socketUrl, { headers }))).toBe(closeCodes.tooManySockets);
  expect(await closeCode(await open(doors.plainUrl, { headers }))).toBe(closeCodes.tooManySockets);
  const late = await open(`${doors.socketUrl}?connectionParams=1`);
  late.send(JSON.stringify({ method: "connectionParams", data: { token: doors.token } }));
  expect(await closeCode(late)).toBe(closeCodes.tooManySockets);
  first.close();
  await once(first, "close");
  expect(await closeCode(await open(doors.plainUrl, { headers }))).toBe(1000);
});

test("a malformed or oversized frame closes that socket only", async () => {
  await using doors = await startTestDoors({ ports: { agents: { list: async () => ({ agents: [] }) } } });
  const headers = { authorization: `Bearer ${doors.token}` };
  const healthy = await open(doors.socketUrl, { headers });
  const malformed = await open(doors.socketUrl, { headers });
  rawSocketOf(malformed).write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  expect(await closeCode(malformed)).toBe(1002);
  const oversized = await open(doors.socketUrl, { headers });
  oversized.send("a".repeat(100_001));
  expect(await closeCode(oversized)).toBe(1009);
  expect(await ask(healthy, "agents.list")).toMatchObject({ result: { data: { json: { agents: [] } } } });
  healthy.close();
});

test("a frame that is no tRPC message is answered with an error and keeps the socket", async () => {
  await using doors = await startTestDoors({ ports: { agents: { list: async () => ({ agents: [] }) } } });
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  socket.send("{");
  const answer = await nextMessage(socket);
  expect(answer).toMatchObject({ id: null, error: { json: { data: { ksi: { code: "MALFORMED_REQUEST" } } } } });
  expect(await ask(socket, "agents.list")).toMatchObject({ result: {} });
  socket.close();
});

test("any number of subscriptions can be sent in one frame, as a client does that reconnects", async () => {
  await using doors = await startTestDoors({ ports: { runs: { events: async () => followTexts([]) } } });
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  const started = new Set<number>();
  socket.on("message", (data) => {
    const { id, result } = JSON.parse(String(data));
    if (result?.type === "started") started.add(id);
  });
  const subscription = subscriptionTo("runs.events", { run_id: run.run_id });
  socket.send(JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ ...subscription, id }))));
  await until(() => started.size === 200, { message: "each is started" });
  socket.close();
});

test("a socket without any sign of life is ended", async () => {
  await using doors = await startTestDoors({ pingIntervalMs: 500 });
  const headers = { authorization: `Bearer ${doors.token}` };
  const lively = await open(doors.socketUrl, { headers });
  const silent = await open(doors.socketUrl, { headers, autoPong: false });
  expect(await closeCode(silent)).toBe(1006);
  expect(lively.readyState).toBe(WebSocket.OPEN);
  lively.close();
});

test("a slow reader's subscription waits instead of filling the daemon's memory, and then gets everything", async () => {
  const text = "a".repeat(100_000);
  let taken = 0;
  const count = 300;
  const generate = async function* () {
    for (; taken < count; taken++) yield { cursor: `1.${taken}`, event: textEvent(text) };
  };
  await using doors = await startTestDoors({
    maxUnsentBytes: 500_000,
    ports: { runs: { events: async () => createFakeFollow("runs:run-1", generate) } },
  });
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  let received = 0;
  socket.on("message", () => received++);
  socket.pause();
  socket.send(JSON.stringify(subscriptionTo("runs.events", { run_id: run.run_id })));
  await untilStill(() => taken);
  expect(taken).toBeLessThan(count);
  socket.resume();
  // started, the events, stopped
  await until(() => received === count + 2, { message: "everything arrives" });
  socket.close();
});

test("calls of a client that does not read its answers wait too, and are answered when it reads", async () => {
  const answer = { agents: [], next: "a".repeat(10_000) };
  let calls = 0;
  const list = async () => {
    calls++;
    return answer;
  };
  await using doors = await startTestDoors({ maxUnsentBytes: 100_000, ports: { agents: { list } } });
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  const count = 10_000;
  let received = 0;
  socket.on("message", () => received++);
  socket.pause();
  const call = JSON.stringify({ id: 2, method: "query", params: { path: "agents.list", input: { json: {} } } });
  for (let sent = 0; sent < count; sent++) socket.send(call);
  await untilStill(() => calls);
  expect(calls).toBeLessThan(count);
  socket.resume();
  await until(() => received === count, { message: "every call is answered" });
  socket.close();
});

test("closing the door tells clients to reconnect and closes their sockets as restarting", async () => {
  await using doors = await startTestDoors();
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  const message = nextMessage(socket);
  const code = closeCode(socket);
  await doors.webSocketDoor.close();
  expect(await message).toEqual({ id: null, method: "reconnect" });
  expect(await code).toBe(closeCodes.restarting);
});

test("closing the door does not wait for a client that does not answer", async () => {
  await using doors = await startTestDoors();
  const socket = await open(doors.socketUrl, { headers: { authorization: `Bearer ${doors.token}` } });
  socket.pause();
  await doors.webSocketDoor.close();
  socket.terminate();
});

const trimmed = () => new KsiError("HISTORY_TRIMMED", "Trimmed.", { details: { oldest: "1.7" } });

function followTexts(texts: string[], thenThrow?: Error) {
  return createFakeFollow("runs:run-1", async function* () {
    for (const [index, text] of texts.entries()) yield { cursor: `1.${index + 1}`, event: textEvent(text) };
    if (thenThrow) throw thenThrow;
  });
}

function collect({ trpc }: ReturnType<typeof createTestClient>): Promise<{ id: string; text: string }[]> {
  const { promise, resolve, reject } = Promise.withResolvers<{ id: string; text: string }[]>();
  const collected: { id: string; text: string }[] = [];
  trpc.runs.events.subscribe(
    { run_id: run.run_id },
    {
      onData: ({ id, data }) => {
        if (data.event_type === "run.text") collected.push({ id, text: data.payload.text });
      },
      onError: reject,
      onComplete: () => resolve(collected),
    },
  );
  return promise;
}

async function open(url: string, options: ClientOptions = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, options);
  await once(socket, "open");
  return socket;
}

async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, "close")) as [number];
  return code;
}

async function refusal(socket: WebSocket): Promise<number | undefined> {
  const [request, response] = await once(socket, "unexpected-response");
  request.destroy();
  return response.statusCode;
}

function subscriptionTo(path: string, input: object) {
  return { id: 1, method: "subscription", params: { path, input: { json: input } } };
}

async function ask(socket: WebSocket, path: string): Promise<unknown> {
  const answer = nextMessage(socket);
  socket.send(JSON.stringify({ id: 2, method: "query", params: { path, input: { json: {} } } }));
  return await answer;
}

async function nextMessage(socket: WebSocket): Promise<unknown> {
  const [data] = await once(socket, "message");
  return JSON.parse(String(data));
}

/** For writing what the client library would not. */
function rawSocketOf(socket: WebSocket): NodeJS.WritableStream {
  return (socket as unknown as { _socket: NodeJS.WritableStream })._socket;
}
