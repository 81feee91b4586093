/** A program that speaks Redis and nothing of KSI, beside daemons on the Redis that they share. */
import { randomUUID } from "node:crypto";
import { createTempFolder, until } from "@ksi/testing";
import { afterAll, expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";
import { startOwnRedis } from "./own-redis.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const redis = stack.use(await startOwnRedis());
const env = { KSI_REDIS_URL: redis.url, KSI_DEFAULT_MODEL: "echo" };
// Either executes what the other accepted, so they have one root.
const { path: cwd } = stack.use(await createTempFolder());
const [live] = await Promise.all([1, 2].map(async () => stack.use(await startLiveDaemon({ env, cwd }))));
if (!live) throw new Error("no daemon");
const { ksi } = live;

/** Keys and channels as a stranger spells them. */
const key = (name: string) => `ksi:{default}:${name}`;
const plain = redis.commands;

test("a run is spawned by XADD, and its session's results are heard by SUBSCRIBE", async () => {
  const session_id = randomUUID();
  const channel = key(`results:${session_id}`);
  await using results = await subscribe(channel);
  const call = { prompt: "first", session_id, metadata: { n: 1 } };
  await plain.xadd(key("commands:spawn"), "*", "data", JSON.stringify(call));
  await plain.xadd(key("commands:spawn"), "*", "prompt", "hello", "session_id", session_id, "model", "echo");
  await plain.xadd(key("commands:spawn"), "*", "prompt", "last", "session_id", session_id, "model", "echo");

  const lines = await until(() => results.lines.length === 3 && results.lines);
  const heard = lines.map(({ json }) => JSON.parse(json) as Record<string, unknown>);
  // Two servers take what comes, so there is no order.
  expect(new Set(heard.map(({ output }) => output))).toEqual(new Set(["first", "hello", "last"]));
  const { runs } = await ksi.runs.list({ session_id });
  expect(new Set(heard.map(({ run_id }) => run_id))).toEqual(new Set(runs.map(({ run_id }) => run_id)));
  expect(heard.find(({ output }) => output === "hello")).toEqual({
    id: expect.any(String),
    session_id,
    run_id: expect.any(String),
    status: "completed",
    output: "hello",
    error: null,
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  // Who came too late reads the stream, which has the same under the same cursors.
  const kept = await plain.xrange(channel, "-", "+");
  expect(kept.map(([id, fields]) => [id.replace("-", "."), ...fields])).toEqual(
    lines.map(({ cursor, json }) => [cursor, "e", json]),
  );
  expect(await until(() => plain.xlen(key("commands:spawn")).then((length) => length === 0))).toBe(true);
});

test("a message by XADD is in the inbox of its agent, on the message bus and on the firehose", async () => {
  await ksi.agents.register({ agent_id: "listener" });
  await using bus = await subscribe(key("events:message_bus"));
  await using firehose = await subscribe(key("events:broadcast"));
  await using inbox = await subscribe(key("agents:listener:inbox"));
  const message = { source: "shell", target: "listener", event_type: "x.greeting", payload: { text: "Hello" } };
  await plain.xadd(key("agents:messages"), "*", "data", JSON.stringify(message));

  const heard = await until(() => ofType(inbox.lines, "x.greeting"));
  expect(heard).toEqual({ ...message, id: expect.any(String), timestamp: expect.any(String) });
  expect(await until(() => ofType(bus.lines, "x.greeting"))).toEqual(heard);
  expect(await until(() => ofType(firehose.lines, "x.greeting"))).toEqual(heard);
  for await (const event of ksi.agents.inbox("listener")) {
    expect(event).toMatchObject(heard);
    break;
  }
});

test("what cannot be used is in the stream of refused entries, with the reason", async () => {
  const id = await plain.xadd(key("agents:messages"), "*", "source", "shell", "target", "nobody", "event_type", "x.hi");
  const bad = await plain.xadd(key("commands:spawn"), "*", "data", "no JSON");
  const refused = await until(async () => {
    const found = [
      await plain.xrange(key("agents:messages:refused"), "-", "+"),
      await plain.xrange(key("commands:spawn:refused"), "-", "+"),
    ];
    return found.every((entries) => entries.length > 0) && found.flat().map(([, fields]) => fields);
  });
  expect(refused).toEqual([
    [
      ...["entry_id", id, "data", '{"source":"shell","target":"nobody","event_type":"x.hi"}'],
      ...["error", expect.stringContaining('"code":"INVALID_INPUT"'), "timestamp", expect.stringMatching(/Z$/)],
    ],
    [
      ...["entry_id", bad, "data", "no JSON"],
      ...["error", expect.stringContaining('"code":"MALFORMED_REQUEST"'), "timestamp", expect.stringMatching(/Z$/)],
    ],
  ]);
});

interface Line {
  readonly cursor: string;
  readonly json: string;
}

/** A message holds one or more lines: a cursor, a blank, and the JSON of an event. */
async function subscribe(channel: string) {
  const client = plain.duplicate();
  const lines: Line[] = [];
  client.on("message", (_channel, message) => {
    for (const line of message.split("\n")) {
      const blank = line.indexOf(" ");
      lines.push({ cursor: line.slice(0, blank), json: line.slice(blank + 1) });
    }
  });
  await client.subscribe(channel);
  return { lines, [Symbol.asyncDispose]: async () => client.disconnect() };
}

function ofType(lines: readonly Line[], type: string): Record<string, unknown> | undefined {
  return lines
    .map(({ json }) => JSON.parse(json) as Record<string, unknown>)
    .find(({ event_type }) => event_type === type);
}
