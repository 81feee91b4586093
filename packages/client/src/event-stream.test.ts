import { KsiError, type RunEvent } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { type Connection, createKsiClient, type EventStream, type Gap, type KsiClient } from "./index.ts";
import { type FakeDaemon, finalEvent, startFakeDaemon, texts } from "./testing/fake-daemon.ts";

const connect = ({ url, token }: FakeDaemon, onConnection?: (connection: Connection) => void): KsiClient =>
  createKsiClient({ url, token, onConnection });

const numbers = (count: number, first = 1) => Array.from({ length: count }, (_, index) => String(first + index));

/** The texts of the stream until it ends, or until there are `count`. */
async function read(stream: EventStream<RunEvent>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const received: string[] = [];
  for await (const event of stream) {
    if (event.event_type === "run.text") received.push(event.payload.text);
    if (received.length >= count) break;
  }
  return received;
}

test("a stream gives what was there and what comes, in order, and ends after the final event", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 3));
  const reading = read(run.events());
  await until(() => daemon.log.served === 3);
  daemon.log.append(...texts(4, 2), finalEvent);
  expect(await reading).toEqual(numbers(5));
});

test("a reconnecting subscriber receives each event once, in order", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  let reconnects = 0;
  const reading = read(run.events({ onReconnect: () => reconnects++ }));
  for (let round = 0; round < 6; round++) {
    await until(() => daemon.log.open === 1);
    daemon.log.append(...texts(round * 100 + 1, 50));
    if (round % 2) await until(() => daemon.log.served >= round * 100 + 50);
    daemon.cut();
    daemon.log.append(...texts(round * 100 + 51, 50));
    await until(() => daemon.sockets === 0);
  }
  daemon.log.append(finalEvent);
  expect(await reading).toEqual(numbers(600));
  expect(reconnects).toBe(6);
});

test("a move to a new socket that the daemon asks for loses and repeats nothing", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  const reading = read(run.events());
  for (let round = 0; round < 5; round++) {
    const opened = daemon.log.opened;
    await until(() => daemon.log.open >= 1);
    daemon.askToReconnect();
    daemon.log.append(...texts(round * 20 + 1, 20));
    await until(() => daemon.log.opened > opened);
  }
  daemon.log.append(finalEvent);
  expect(await reading).toEqual(numbers(100));
});

test("a stream waits for a daemon that is not up yet, and goes on when it restarts", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  await daemon.stop();
  daemon.log.append(...texts(1, 2));
  const reading = read(run.events());
  await until(() => ksi.connection.error);
  expect(ksi.connection).toMatchObject({ state: "connecting", error: { code: "CONNECTION_LOST" } });
  await daemon.start();
  await until(() => daemon.log.served === 2);
  await daemon.stop();
  daemon.log.append(...texts(3, 2), finalEvent);
  await daemon.start();
  expect(await reading).toEqual(numbers(4));
});

test("a loop on a port to which the runtime never connects says so as for a daemon that is away", async () => {
  // 6000 is one of those that the fetch standard blocks. Node tells of it before tRPC's client listens.
  await using ksi = createKsiClient({ url: "http://127.0.0.1:6000" });
  const abort = new AbortController();
  const next = ksi.agents.inbox("bob", { signal: abort.signal })[Symbol.asyncIterator]().next();
  await until(() => ksi.connection.error, { message: "the failure is told" });
  expect(ksi.connection).toMatchObject({ state: "connecting", error: { code: "CONNECTION_LOST" } });
  abort.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  await until(() => ksi.connection.state === "idle");
});

test("the state of the connection is told as it changes", async () => {
  await using daemon = await startFakeDaemon();
  const states: string[] = [];
  // Each try that failed is told, so `connecting` comes once or more.
  await using ksi = connect(daemon, ({ state }) => state !== states.at(-1) && states.push(state));
  const run = await ksi.runs.attach(daemon.run_id);
  expect(ksi.connection.state).toBe("idle");
  const reading = read(run.events());
  await until(() => daemon.log.open === 1);
  daemon.cut();
  daemon.log.append(finalEvent);
  await reading;
  await until(() => ksi.connection.state === "idle");
  expect(states).toEqual(["connecting", "open", "connecting", "open", "idle"]);
});

test("a consumer slower than the daemon loses nothing, and no more than its buffer is fetched ahead", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  let reconnects = 0;
  const stream = run.events({ maxBuffered: 10, onReconnect: () => reconnects++ });
  const iterator = stream[Symbol.asyncIterator]();
  daemon.log.append(...texts(1, 30));
  const received: string[] = [];
  const take = async () => {
    const { value } = await iterator.next();
    if (value?.event_type === "run.text") received.push(value.payload.text);
  };
  await take();
  await until(() => daemon.log.open === 0, { message: "the subscription is stopped while the buffer is full" });
  const served = daemon.log.served;
  daemon.log.append(...texts(31, 470), finalEvent);
  expect(daemon.log.served).toBe(served);
  while (received.length < 500) await take();
  expect(received).toEqual(numbers(500));
  expect(daemon.log.opened).toBeGreaterThan(10);
  expect(reconnects).toBe(0);
});

test("an abort ends the loop without an error and stops the subscription, also while it waits", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 2));
  const abort = new AbortController();
  const stream = run.events({ signal: abort.signal });
  const reading = read(stream);
  await until(() => stream.cursor?.endsWith(".2"));
  abort.abort();
  expect(await reading).toEqual(numbers(2));
  await until(() => daemon.log.open === 0);
  expect(await read(run.events({ signal: AbortSignal.abort() }))).toEqual([]);
});

test("leaving the loop stops the subscription, and looping again goes on after the cursor", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 5), finalEvent);
  const stream = run.events();
  expect(await read(stream, 2)).toEqual(["1", "2"]);
  await until(() => daemon.log.open === 0);
  const { cursor } = stream;
  expect(await read(stream)).toEqual(["3", "4", "5"]);
  expect(await read(stream)).toEqual([]);
  await using other = connect(daemon);
  expect(await read((await other.runs.attach(daemon.run_id)).events({ cursor }))).toEqual(["3", "4", "5"]);
});

test("a return ends an iterator whose next event has not come", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const iterator = ksi.agents.inbox("bob")[Symbol.asyncIterator]();
  const pending = iterator.next();
  await until(() => daemon.inbox.open === 1);
  await iterator.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });
});

test("a trimmed history is an error that names the oldest event kept", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 10), finalEvent);
  const stream = run.events();
  await read(stream, 2);
  daemon.log.trim(4);
  await expect(read(stream)).rejects.toMatchObject({
    code: "HISTORY_TRIMMED",
    details: { oldest: expect.stringMatching(/\.7$/), reason: "trimmed" },
  });
});

test("with onGap the loop hears of the gap and goes on at the oldest event kept", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 10), finalEvent);
  const gaps: Gap[] = [];
  const stream = run.events({ onGap: (gap) => gaps.push(gap) });
  await read(stream, 2);
  daemon.log.trim(4);
  expect(await read(stream)).toEqual(["8", "9", "10"]);
  expect(gaps).toMatchObject([{ after: expect.stringMatching(/\.2$/), oldest: expect.stringMatching(/\.7$/) }]);
});

test("a gap that a cut leaves behind is told in the middle of the loop, and which of the two kinds it is", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 3));
  const gaps: Gap[] = [];
  const stream = run.events({ onGap: (gap) => gaps.push(gap) });
  const reading = read(stream);
  await until(() => stream.cursor?.endsWith(".3"));
  const before = stream.cursor;
  daemon.cut();
  daemon.log.append(...texts(4, 6));
  daemon.log.trim(2);
  await until(() => stream.cursor?.endsWith(".9"));
  expect(gaps).toEqual([{ after: before, oldest: expect.stringMatching(/\.7$/), reason: "trimmed" }]);

  const beforeAnew = stream.cursor;
  daemon.cut();
  daemon.log.startOver();
  daemon.log.append(...texts(20, 2), finalEvent);
  expect(await reading).toEqual(["1", "2", "3", "8", "9", "20", "21"]);
  expect(gaps[1]).toEqual({ after: beforeAnew, oldest: expect.stringMatching(/\.0$/), reason: "epoch_changed" });
  expect(gaps).toHaveLength(2);
});

test("a stream from now that was cut before its first event starts at a later now, and after one it misses nothing", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const timestamp = "2026-11-21T00:00:00.000Z";
  const publish = (payload: number) =>
    daemon.firehose.append({ id: `e${payload}`, source: "a", event_type: "x.n", payload, timestamp });
  const events = ksi.events.subscribe()[Symbol.asyncIterator]();
  const first = events.next();
  for (const number of [1, 2]) {
    await until(() => daemon.firehose.open === 1);
    daemon.cut();
    await until(() => daemon.firehose.open === 0);
    publish(number);
  }
  await until(() => daemon.firehose.open === 1);
  publish(3);
  expect((await first).value).toMatchObject({ payload: 3 });
  daemon.cut();
  await until(() => daemon.firehose.open === 0);
  publish(4);
  expect((await events.next()).value).toMatchObject({ payload: 4 });
  await events.return?.();
});

test("a failure of the daemon that passes is waited out, and one that stays ends the loop", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 2), finalEvent);
  daemon.log.failWith(new KsiError("STORE_UNAVAILABLE", "Redis is away."), 2);
  let reconnects = 0;
  expect(await read(run.events({ onReconnect: () => reconnects++ }))).toEqual(numbers(2));
  expect(reconnects).toBe(2);
  daemon.log.failWith(new KsiError("FORBIDDEN", "Not yours."), 1);
  await expect(read(run.events())).rejects.toMatchObject({ code: "FORBIDDEN", message: "Not yours." });
});

test("a subscription that a draining daemon ends in peace is taken up again", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  daemon.log.append(...texts(1, 2));
  const reading = read(run.events());
  await until(() => daemon.log.served === 2);
  daemon.log.endFollows();
  daemon.log.append(...texts(3, 2), finalEvent);
  expect(await reading).toEqual(numbers(4));
});

test("without a token, or for a run that does not exist, a loop rejects with the reason", async () => {
  await using daemon = await startFakeDaemon();
  await using stranger = createKsiClient({ url: daemon.url, token: "wrong" });
  const first = stranger.agents.inbox("bob")[Symbol.asyncIterator]().next();
  await expect(first).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  await using ksi = connect(daemon);
  const inbox = ksi.agents.inbox("not a name")[Symbol.asyncIterator]().next();
  await expect(inbox).rejects.toMatchObject({ code: "INVALID_INPUT", details: { issues: [{ path: "agent_id" }] } });
});

test("a thousand subscriptions share one socket, over a cut too, and it closes when the last of them ends", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const run = await ksi.runs.attach(daemon.run_id);
  const count = 1_000;
  const readings = Array.from({ length: count }, () => read(run.events()));
  await until(() => daemon.log.open === count);
  expect(daemon.sockets).toBe(1);
  daemon.log.append(...texts(1, 3));
  await until(() => daemon.log.served === 3 * count);
  daemon.cut();
  await until(() => daemon.log.opened === 2 * count);
  expect(daemon.sockets).toBe(1);
  daemon.log.append(...texts(4, 2), finalEvent);
  for (const received of await Promise.all(readings)) expect(received).toEqual(numbers(5));
  await until(() => daemon.sockets === 0);
});

test("inboxes and the firehose are streams too", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const timestamp = "2026-11-21T00:00:00.000Z";
  daemon.inbox.append({ id: "m1", source: "alice", target: "bob", event_type: "HELLO", payload: { a: 1 }, timestamp });
  for await (const message of ksi.agents.inbox("bob")) {
    expect(message).toMatchObject({ source: "alice", payload: { a: 1 } });
    break;
  }
  const first = ksi.events
    .subscribe({ types: ["x.*"] })
    [Symbol.asyncIterator]()
    .next();
  await until(() => daemon.firehose.open === 1);
  daemon.firehose.append({ id: "e1", source: "alice", event_type: "x.done", payload: null, timestamp });
  expect((await first).value).toMatchObject({ event_type: "x.done" });
});
