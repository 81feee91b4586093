import { limits, schemas } from "@ksi/contract";
import { expect, test } from "vitest";
import { readWayEntry, showWayEntry } from "./way-entry.ts";

const id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const defaults = { enable_tools: true, priority: 50 };

test.for<[flat: string[], input: object]>([
  [["data", '{"prompt": "hi", "priority": 3}'], { ...defaults, prompt: "hi", priority: 3 }],
  [
    ["data", `{"command": "spawn", "prompt": "hi", "session_id": "${id}"}`],
    { ...defaults, prompt: "hi", session_id: id },
  ],
  [["prompt", "hi", "model", "echo"], { ...defaults, prompt: "hi", model: "echo" }],
  [["prompt", "1", "idempotency_key", "{}"], { ...defaults, prompt: "1", idempotency_key: "{}" }],
])("an entry %j is the input of a call", ([flat, input]) => {
  expect(readWayEntry(flat, schemas.spawnInput)).toEqual(input);
});

test("the payload of a message is a string where it is a field, and any JSON in data", () => {
  const message = { source: "shell", target: "bob", event_type: "x.hi" };
  const flat = [...Object.entries(message).flat(), "payload", '{"n": 1}'];
  expect(readWayEntry(flat, schemas.sendInput)).toEqual({ ...message, payload: '{"n": 1}' });
  const data = JSON.stringify({ ...message, payload: { n: 1 } });
  expect(readWayEntry(["data", data], schemas.sendInput)).toEqual({ ...message, payload: { n: 1 } });
});

test.for<[flat: string[], code: string, message: string]>([
  [["data", "hello"], "MALFORMED_REQUEST", "The field data is no JSON."],
  [["data", "[]"], "INVALID_INPUT", "The input must be an object"],
  [["data", '{"model": "echo"}'], "INVALID_INPUT", "prompt: is missing"],
  [["prompt", "hi", "priority", "3"], "INVALID_INPUT", "priority: must be a number"],
  [["data", '{"prompt": "hi"}', "model", "echo"], "INVALID_INPUT", "data: must be the only field of the entry"],
  [["prompt", "x".repeat(limits.bodyBytes)], "PAYLOAD_TOO_LARGE", `a call may have ${limits.bodyBytes}`],
])("an entry is refused: %#", ([flat, code, message]) => {
  expect(() => readWayEntry(flat, schemas.spawnInput)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test("an entry is shown as what its producer gave: its data, or its fields", () => {
  expect(showWayEntry(["data", "hello"])).toBe("hello");
  expect(showWayEntry(["prompt", "hi", "data", "{"])).toBe('{"prompt":"hi","data":"{"}');
});
