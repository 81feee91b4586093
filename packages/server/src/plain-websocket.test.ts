import { once } from "node:events";
import { type EventFilter, KsiError, type KsiEvent, type Message, type RunEvent } from "@ksi/contract";
import { createFakeFollow, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { connectPlainSocket, type PlainSocket } from "./testing/plain-socket.ts";
import { startTestDoors, type TestDoors, type TestDoorsOptions } from "./testing/test-doors.ts";
import { untilStill } from "./testing/until-still.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

test("each event of the firehose is one text frame: its JSON, and the cursor to resume after", async () => {
  await using doors = await startTestDoors(firehose([joined("a"), joined("b")]));
  const { frames, closed } = connect(doors, "");
  expect((await closed).code).toBe(1000);
  expect(frames).toEqual([
    { ...joined("a"), cursor: "1.1" },
    { ...joined("b"), cursor: "1.2" },
  ]);
});

test.each<[string, EventFilter, object]>([
  ["", {}, {}],
  ["types=run.*&types=agent.joined,x.a", { types: ["run.*", "agent.joined", "x.a"] }, {}],
  [`session_id=${session_id}&agent_id=a&source=b`, { session_id, agent_id: "a", source: "b" }, {}],
  ["types=message.*&agent_id=a&target=b", { types: ["message.*"], agent_id: "a", target: "b" }, {}],
  ["last_event_id=3.17&from=oldest&unknown=1", {}, { lastEventId: "3.17", from: "oldest" }],
])("the query %j is the filter and the start of the firehose", async (query, filter, start) => {
  const asked: unknown[] = [];
  const subscribe = async (...[given, from]: unknown[]) => {
    asked.push(given, from);
    return createFakeFollow<KsiEvent>("events:broadcast", async function* () {});
  };
  await using doors = await startTestDoors({ ports: { events: { subscribe } } });
  expect((await connect(doors, query).closed).code).toBe(1000);
  expect(asked).toEqual([filter, start]);
});

test("with run_id it is the run with its text, and closes as done after the final event", async () => {
  const asked: unknown[] = [];
  await using doors = await startTestDoors({
    ports: {
      runs: {
        events: async (...[run_id, start]) => {
          asked.push(run_id, start);
          return createFakeFollow("runs:run-1", () => entriesOf(ofRun));
        },
      },
    },
  });
  const { frames, closed } = connect(doors, "run_id=run-1&last_event_id=1.0");
  expect(await closed).toEqual({ code: 1000, reason: "there is nothing more" });
  expect(frames.map(({ event_type, cursor }) => [event_type, cursor])).toEqual([
    ["run.text", "1.1"],
    ["run.thinking", "1.2"],
    ["run.failed", "1.3"],
  ]);
  expect(asked).toEqual(["run-1", { lastEventId: "1.0" }]);
});

test.each([
  ["run.text", ["1.1"]],
  ["run.t*", ["1.1", "1.2"]],
  ["run.failed,run.text", ["1.1", "1.3"]],
  ["run", []],
])("of a run only the types %j are sent, and the socket still closes after its end", async (types, cursors) => {
  await using doors = await startTestDoors({
    ports: { runs: { events: async () => createFakeFollow("runs:run-1", () => entriesOf(ofRun)) } },
  });
  const { frames, closed } = connect(doors, `run_id=run-1&types=${types}`);
  expect((await closed).code).toBe(1000);
  expect(frames.map(({ cursor }) => cursor)).toEqual(cursors);
});

const said: Message = {
  id: "00000000-0000-4000-8000-000000000001",
  source: "alice",
  target: "bob",
  event_type: "x.hello",
  payload: 1,
  timestamp: "2026-01-01T00:00:00.000Z",
};

test("with inbox it is the messages of that agent, taken or looked at as the query says", async () => {
  const asked: unknown[] = [];
  const inbox = async (input: unknown) => {
    asked.push(input);
    return createFakeFollow<Message>("agents:bob:inbox", async function* () {
      yield { cursor: "1.7", event: said };
    });
  };
  await using doors = await startTestDoors({ ports: { messages: { inbox } } });
  const { frames, closed } = connect(doors, "inbox=bob&last_event_id=1.6");
  expect((await closed).code).toBe(1000);
  expect(frames).toEqual([{ ...said, cursor: "1.7" }]);
  await connect(doors, "inbox=bob&mode=shared&prefetch=7").closed;
  expect(asked).toEqual([
    { agent_id: "bob", mode: "each", prefetch: 100, lastEventId: "1.6" },
    { agent_id: "bob", mode: "shared", prefetch: 7 },
  ]);
});

test("without the token a browser is told why in a frame, and the socket is closed with 4401", async () => {
  await using doors = await startTestDoors(firehose([joined("a")]));
  const { frames, closed } = connectPlainSocket(doors.plainUrl);
  expect(await closed).toEqual({ code: 4401, reason: "UNAUTHORIZED" });
  expect(frames).toEqual([{ error: { code: "UNAUTHORIZED", message: expect.stringContaining("ksi token") } }]);
});

test("a ticket opens one plain socket", async () => {
  await using doors = await startTestDoors(firehose([joined("a")]));
  const url = `${doors.plainUrl}?ticket=${doors.tickets.issue().ticket}`;
  expect((await connectPlainSocket(url).closed).code).toBe(1000);
  expect((await connectPlainSocket(url).closed).code).toBe(4401);
});

test.each([
  ["last_event_id=yesterday", "last_event_id"],
  ["from=then", "from"],
  ["session_id=A", "session_id"],
  ["types=", "types.0"],
  ["agent_id=a&agent_id=b", "agent_id"],
  ["target=*", "target"],
  [`run_id=run-1&session_id=${session_id}`, "session_id"],
  ["run_id=run-1&target=a&types=run.*", "target"],
  ["inbox=bob&types=x.*", "types"],
  ["inbox=bob&mode=some", "mode"],
  ["inbox=bob&mode=shared&prefetch=0", "prefetch"],
  ["inbox=bob&mode=shared&from=oldest", "from"],
])("the query %j is refused with 4422 and an issue that names %s", async (query, path) => {
  await using doors = await startTestDoors(firehose([]));
  const { frames, closed } = connect(doors, query);
  expect(await closed).toEqual({ code: 4422, reason: "INVALID_INPUT" });
  const issues = [{ path, message: expect.any(String) }];
  expect(frames).toEqual([{ error: { code: "INVALID_INPUT", message: expect.stringContaining(path), issues } }]);
});

test.each<[KsiError, number]>([
  [new KsiError("NOT_FOUND", "There is no such run."), 4404],
  [new KsiError("HISTORY_TRIMMED", "Trimmed.", { details: { oldest: "1.7", reason: "trimmed" } }), 4412],
  [new KsiError("STORE_UNAVAILABLE", "Redis is away."), 4503],
])("%s closes the socket with %d after a frame with its details, when opened and on the way", async (error, code) => {
  const { code: name, message, details } = error;
  const frame = { error: { code: name, message, ...details } };
  await using unopened = await startTestDoors({ ports: { runs: { events: () => Promise.reject(error) } } });
  const refused = connect(unopened, "run_id=run-1");
  expect(await refused.closed).toEqual({ code, reason: name });
  expect(refused.frames).toEqual([frame]);
  await using broken = await startTestDoors(firehose([joined("a")], error));
  const cut = connect(broken, "");
  expect((await cut.closed).code).toBe(code);
  expect(cut.frames).toEqual([{ ...joined("a"), cursor: "1.1" }, frame]);
});

test("what breaks inside is 4500 without a word of it, and the log has the cause", async () => {
  await using doors = await startTestDoors(firehose([], new Error("secret")));
  const { frames, closed } = connect(doors, "");
  expect(await closed).toEqual({ code: 4500, reason: "INTERNAL" });
  expect(JSON.stringify(frames)).not.toContain("secret");
  const { fields } = doors.logged.find(({ level }) => level === "error") ?? {};
  expect(fields).toMatchObject({ path: "/ws", err: expect.objectContaining({ message: "secret" }) });
});

test("what a client says is not read, and a frame over the limit closes its socket only", async () => {
  await using doors = await startTestDoors(openFirehose());
  const { socket: talker, frames } = connect(doors, "");
  const { socket: shouter, closed } = connect(doors, "");
  await Promise.all([once(talker, "open"), once(shouter, "open")]);
  talker.send("hello");
  shouter.send("a".repeat(1_025));
  expect((await closed).code).toBe(1009);
  expect([talker.readyState, frames]).toEqual([talker.OPEN, [expect.objectContaining({ agent_id: "first" })]]);
});

test("the follow of a client that went away is closed", async () => {
  const signals: AbortSignal[] = [];
  await using doors = await startTestDoors(openFirehose(signals));
  const { socket, frames } = connect(doors, "");
  await until(() => frames.length === 1);
  socket.terminate();
  await until(() => signals[0]?.aborted === true, { message: "the follow's signal aborts" });
});

test("a slow reader of plain events is waited for, and then gets everything", async () => {
  const count = 300;
  let taken = 0;
  const generate = async function* () {
    for (; taken < count; taken++) yield { cursor: `1.${taken}`, event: text("a".repeat(100_000)) };
  };
  await using doors = await startTestDoors({
    maxUnsentBytes: 500_000,
    ports: { runs: { events: async () => createFakeFollow("runs:run-1", generate) } },
  });
  const { socket, frames, closed } = connect(doors, "run_id=run-1");
  await once(socket, "upgrade");
  socket.pause();
  await untilStill(() => taken);
  expect(taken).toBeLessThan(count);
  socket.resume();
  expect((await closed).code).toBe(1000);
  expect(frames.length).toBe(count);
});

test("a daemon that stops closes plain sockets as restarting, with no frame that is no event", async () => {
  await using doors = await startTestDoors(openFirehose());
  const { frames, closed } = connect(doors, "");
  await until(() => frames.length === 1);
  await doors.webSocketDoor.close();
  expect(await closed).toEqual({ code: 1012, reason: "the daemon is stopping" });
  expect(frames.length).toBe(1);
});

test("plain sockets are pinged, and count as sockets", async () => {
  await using doors = await startTestDoors({ ...openFirehose(), maxSockets: 1, pingIntervalMs: 50 });
  const { closed } = connect(doors, "", { autoPong: false });
  const { socket: second, closed: refused } = connect(doors, "");
  refused.catch(() => undefined);
  const [request, response] = await once(second, "unexpected-response");
  request.destroy();
  expect(response.statusCode).toBe(503);
  expect((await closed).code).toBe(1006);
});

test("a GET of /ws without an upgrade is told to upgrade", async () => {
  await using doors = await startTestDoors();
  const answer = await fetch(`${doors.url}/ws`);
  expect([answer.status, answer.headers.get("upgrade")]).toEqual([426, "websocket"]);
  expect(await answer.json()).toMatchObject({ error: { code: "MALFORMED_REQUEST" } });
});

function connect(doors: TestDoors, query: string, options: { autoPong?: boolean } = {}): PlainSocket {
  const headers = { authorization: `Bearer ${doors.token}` };
  return connectPlainSocket(`${doors.plainUrl}?${query}`, { ...options, headers });
}

function joined(agent_id: string): KsiEvent {
  const timestamp = "2026-01-01T00:00:00.000Z";
  const times = { last_seen: timestamp, registered_at: timestamp, updated_at: timestamp };
  const payload = { agent_id, capabilities: [], status: "online" as const, ...times };
  return { id: `e-${agent_id}`, source: "ksi", timestamp, agent_id, event_type: "agent.joined", payload };
}

const header = { id: "e", source: "ksi", timestamp: "2026-01-01T00:00:00.000Z", run_id: "run-1", session_id };

const text = (said: string): RunEvent => ({ ...header, event_type: "run.text", payload: { text: said } });

const ofRun: RunEvent[] = [
  text("Hello"),
  { ...header, event_type: "run.thinking", payload: { text: "Hm." } },
  { ...header, event_type: "run.failed", payload: { error: { code: "RUNNER_CRASHED", message: "It crashed." } } },
];

async function* entriesOf<E>(events: E[], thenThrow?: Error) {
  for (const [index, event] of events.entries()) yield { cursor: `1.${index + 1}`, event };
  if (thenThrow) throw thenThrow;
}

function firehose(events: KsiEvent[], thenThrow?: Error): TestDoorsOptions {
  const subscribe = async () => createFakeFollow("events:broadcast", () => entriesOf(events, thenThrow));
  return { ports: { events: { subscribe } } };
}

/** Says one thing, and then nothing until its signal aborts. */
function openFirehose(signals: AbortSignal[] = []): TestDoorsOptions {
  const generate = async function* (signal: AbortSignal) {
    yield { cursor: "1.1", event: joined("first") };
    if (!signal.aborted) await once(signal, "abort");
  };
  const subscribe: NonNullable<NonNullable<TestDoorsOptions["ports"]>["events"]>["subscribe"] = async (
    _filter,
    _from,
    signal = new AbortController().signal,
  ) => {
    signals.push(signal);
    return createFakeFollow("events:broadcast", () => generate(signal));
  };
  return { ports: { events: { subscribe } } };
}
