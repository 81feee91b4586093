import { expect, test } from "vitest";
import { event, isFinalRunEvent, type KsiEvent, runEvent } from "./events.ts";

const header = { id: "e1", source: "ksi", timestamp: "2026-11-21T00:00:00.000Z" };
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const ofRun = { ...header, run_id: "run-1", session_id };

test("an event of ours must have the payload of its type", () => {
  expect(runEvent.safeParse({ ...ofRun, event_type: "run.text", payload: { text: "hi" } }).success).toBe(true);
  expect(runEvent.safeParse({ ...ofRun, event_type: "run.text", payload: { words: "hi" } }).success).toBe(false);
  expect(event.safeParse({ ...ofRun, event_type: "run.text", payload: { words: "hi" } }).success).toBe(false);
  expect(event.safeParse({ ...ofRun, event_type: "run.invented", payload: {} }).success).toBe(false);
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
