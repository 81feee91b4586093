import type { Json } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import type { TurnEvent } from "./runners/runner.ts";
import { createTurnEvents } from "./turn-events.ts";

const text = (value: string): TurnEvent => ({ event_type: "run.text", payload: { text: value } });
const tool: TurnEvent = {
  event_type: "run.tool_use",
  payload: { tool_use_id: "t", name: "Read", input: {} },
};

function setUp(store: (events: readonly TurnEvent[]) => Promise<void>) {
  const lost: KsiError[] = [];
  const closing = new AbortController();
  const events = createTurnEvents({ store, onLost: (error) => lost.push(error), signal: closing.signal });
  return { events, lost, closing };
}

/** With a log that stores nothing until it is told to. */
function setUpBehind() {
  const { promise: isBack, resolve: catchUp } = Promise.withResolvers<void>();
  const stored: TurnEvent[] = [];
  const { events } = setUp(async (batch) => {
    await isBack;
    stored.push(...batch);
  });
  return { events, stored, catchUp };
}

test("each delta is an event of its own as long as the log keeps up, in the order of the agent", async () => {
  const stored: TurnEvent[] = [];
  const { events } = setUp(async (batch) => void stored.push(...batch));
  for (const word of ["a", "b", "c"]) events.emit(text(word));
  events.emit(tool);
  events.emit(text("d"));
  stored.push(...(await events.takeLast()));
  expect(stored).toEqual([text("a"), text("b"), text("c"), tool, text("d")]);
});

test("while the log is behind, deltas are joined and no letter is lost", async () => {
  const { events, stored, catchUp } = setUpBehind();
  const letters = Array.from({ length: 10_000 }, (_, i) => String.fromCharCode(97 + (i % 26)));
  for (const letter of letters) events.emit(text(letter));
  catchUp();
  stored.push(...(await events.takeLast()));
  expect(stored.length).toBeLessThan(100);
  expect(stored.map(({ payload }) => "text" in payload && payload.text).join("")).toBe(letters.join(""));
});

test("while the log is behind, what is said anew is not joined to what was retracted before it", async () => {
  const { events, stored, catchUp } = setUpBehind();
  const retracted: TurnEvent = { event_type: "run.retracted", payload: { chars: 2 } };
  for (let i = 0; i < 100; i++) events.emit(tool);
  for (const event of [text("a"), text("b"), retracted, text("c"), text("d")]) events.emit(event);
  catchUp();
  stored.push(...(await events.takeLast()));
  expect(stored.slice(100)).toEqual([text("ab"), retracted, text("cd")]);
});

test("keys that no answer could carry are left out of the input of a tool, which then says that it is truncated", async () => {
  const stored: TurnEvent[] = [];
  const { events } = setUp(async (batch) => void stored.push(...batch));
  const used = (input: Json, more?: object): TurnEvent => ({
    event_type: "run.tool_use",
    payload: { tool_use_id: "t", name: "Write", input, ...more },
  });
  events.emit(used(JSON.parse('{"path":"a","options":{"__proto__":{"b":1},"constructor":2}}')));
  events.emit(used({ path: "a", options: {} }));
  stored.push(...(await events.takeLast()));
  const input = { path: "a", options: {} };
  expect(stored).toEqual([used(input, { is_truncated: true }), used(input)]);
});

test("what cannot be stored because Redis is away is stored when it is back", async () => {
  let failures = 3;
  const stored: TurnEvent[] = [];
  const { events, lost } = setUp(async (batch) => {
    if (failures-- > 0) throw new KsiError("STORE_UNAVAILABLE", "away");
    stored.push(...batch);
  });
  events.emit(text("a"));
  await until(() => stored.length > 0);
  expect(await events.takeLast()).toEqual([]);
  expect(stored).toEqual([text("a")]);
  expect(lost).toEqual([]);
});

test("what is left when the agent has ended goes with its last word, if it is one batch", async () => {
  const { events, stored, catchUp } = setUpBehind();
  events.emit(text("first"));
  for (let i = 0; i < 600; i++) events.emit(tool);
  const last = events.takeLast();
  catchUp();
  const left = await last;
  expect(left.length).toBeGreaterThan(0);
  expect(left.length).toBeLessThanOrEqual(500);
  expect([...stored, ...left]).toEqual([text("first"), ...Array.from({ length: 600 }, () => tool)]);
});

test("a run that is somebody else's is told once, and nothing more is stored", async () => {
  let calls = 0;
  const { events, lost } = setUp(() => {
    calls++;
    return Promise.reject(new KsiError("CONFLICT", "not yours"));
  });
  events.emit(text("a"));
  await until(() => lost.length > 0);
  events.emit(text("b"));
  expect(await events.takeLast()).toEqual([]);
  expect(calls).toBe(1);
  expect(lost.map(({ code }) => code)).toEqual(["WORKER_LOST"]);
});

test("an agent that says more than can be kept while Redis is away is lost", async () => {
  const { events, lost, closing } = setUp(() => Promise.reject(new KsiError("STORE_UNAVAILABLE", "away")));
  const page = "x".repeat(1_000_000);
  await until(() => {
    events.emit(text(page));
    return lost.length > 0;
  });
  expect(lost.map(({ code }) => code)).toEqual(["STORE_UNAVAILABLE"]);
  closing.abort();
  await events.takeLast();
});
