import { expect, test } from "vitest";
import {
  agentEvent,
  customEvent,
  event,
  isFinalRunEvent,
  type KsiEvent,
  messageEvent,
  runEvent,
  sessionEvent,
  stateEvent,
} from "./events.ts";

const header = { id: "e1", source: "ksi", timestamp: "2026-11-21T00:00:00.000Z" };
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const ofRun = { ...header, run_id: "run-1", session_id };

test("an event of ours must have the payload of its type", () => {
  expect(runEvent.safeParse({ ...ofRun, event_type: "run.text", payload: { text: "hi" } }).success).toBe(true);
  expect(runEvent.safeParse({ ...ofRun, event_type: "run.text", payload: { words: "hi" } }).success).toBe(false);
  expect(event.safeParse({ ...ofRun, event_type: "run.text", payload: { words: "hi" } }).success).toBe(false);
  expect(event.safeParse({ ...ofRun, event_type: "run.invented", payload: {} }).success).toBe(false);
});

const receipt = { ...header, agent_id: "bob", target: "alice" };
const set = { namespace: "plans", key: "a", version: 3 };

const ofInboxesAndState: KsiEvent[] = [
  { ...receipt, event_type: "message.delivered", payload: { message_id: "m1" } },
  { ...receipt, event_type: "message.acked", payload: { message_id: "m1", correlation_id: "c1" } },
  { ...receipt, event_type: "message.expired", payload: { message_id: "m1" } },
  { ...receipt, event_type: "message.dead", payload: { message_id: "m1", reason: "max_deliveries", deliveries: 10 } },
  { ...receipt, event_type: "message.redriven", payload: { message_id: "m1" } },
  { ...header, source: "alice", event_type: "message.blocked", payload: { reason: "hops", limit: 32 } },
  { ...header, event_type: "state.set", payload: set },
  { ...header, event_type: "state.deleted", payload: { ...set, reason: "expired" } },
];

test.for(ofInboxesAndState)("$event_type keeps all it has, and with another payload it is no event", (wanted) => {
  expect(event.parse(wanted)).toEqual(wanted);
  for (const payload of [{}, null, "m1"]) expect(event.safeParse({ ...wanted, payload }).success).toBe(false);
});

test("a receipt says whose inbox it is about, and who sent the message", () => {
  const acked = { ...receipt, event_type: "message.acked", payload: { message_id: "m1" } };
  for (const missing of ["agent_id", "target"]) {
    expect(event.safeParse({ ...acked, [missing]: undefined }).success).toBe(false);
  }
});

test("nobody else can have a name of ours", () => {
  const unions = [runEvent, agentEvent, messageEvent, stateEvent].flatMap((union) => [...union.options]);
  const names = [...unions, sessionEvent].map(({ shape }) => shape.event_type.value);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual(expect.arrayContaining(ofInboxesAndState.map(({ event_type }) => event_type)));
  for (const event_type of names) {
    expect([event_type, customEvent.safeParse({ ...header, event_type, payload: {} }).success]).toEqual([
      event_type,
      false,
    ]);
  }
});

test("messages and published events may carry any JSON under a name that is not ours", () => {
  for (const event_type of ["x.done", "DIRECT_MESSAGE"]) {
    expect(event.parse({ ...header, event_type, target: "bob", payload: [1, null, { a: "b" }] })).toMatchObject({
      event_type,
    });
  }
});

test("four types end a run, and no other does", () => {
  const types: Record<KsiEvent["event_type"] & `run.${string}`, boolean> = {
    "run.queued": false,
    "run.started": false,
    "run.requeued": false,
    "run.text": false,
    "run.retracted": false,
    "run.thinking": false,
    "run.tool_use": false,
    "run.tool_result": false,
    "run.retrying": false,
    "run.permission_denied": false,
    "run.completed": true,
    "run.failed": true,
    "run.cancelled": true,
    "run.timed_out": true,
  };
  expect(runEvent.options.map((option) => option.shape.event_type.value).toSorted()).toEqual(
    Object.keys(types).toSorted(),
  );
  for (const [event_type, isLast] of Object.entries(types)) expect(isFinalRunEvent({ event_type })).toBe(isLast);
});
