import { expect, test } from "vitest";
import { costOf, createClaudeReader } from "./claude-output.ts";

test("a message that was not streamed is told whole, one that was is not told twice", () => {
  const { read } = createClaudeReader();
  const whole = (id: string) =>
    read(line({ type: "assistant", message: { id, content: [{ type: "text", text: "hi" }] } }));
  read(line({ type: "stream_event", event: { type: "message_start", message: { id: "streamed" } } }));
  expect(whole("streamed")).toEqual([]);
  expect(whole("other")).toEqual([{ kind: "event", event: { event_type: "run.text", payload: { text: "hi" } } }]);
});

test("a sub-agent's tools are reported and its words are not the answer", () => {
  const { read } = createClaudeReader();
  const delta = { type: "content_block_delta", delta: { type: "text_delta", text: "aside" } };
  expect(read(line({ type: "stream_event", event: delta, parent_tool_use_id: "task" }))).toEqual([]);
  const content = [
    { type: "text", text: "aside" },
    { type: "tool_use", id: "t1", name: "Read", input: {} },
  ];
  expect(read(line({ type: "assistant", message: { id: "m", content }, parent_tool_use_id: "task" }))).toMatchObject([
    { event: { event_type: "run.tool_use", payload: { tool_use_id: "t1" } } },
  ]);
});

test("a tool result with a picture in it says so", () => {
  const content = [{ type: "text", text: "seen" }, { type: "image" }];
  const block = { type: "tool_result", tool_use_id: "t1", content };
  const { read } = createClaudeReader();
  expect(read(line({ type: "user", message: { content: [block] } }))).toMatchObject([
    { event: { payload: { content: "seen\n[image]", is_error: false } } },
  ]);
});

test.each(["", "hello", "[1]", "null", '{"no":"type"}', '{"type":1}', '{"type":"result"}'])(
  "%j is not of the protocol",
  (text) => {
    expect(createClaudeReader().read(text)).toBeUndefined();
  },
);

test("a line of a kind that is not known yet is let pass", () => {
  expect(createClaudeReader().read('{"type":"next_years_news"}')).toEqual([{ kind: "other" }]);
});

test("the cost of a turn is what was added, as far as that is known", () => {
  const result = { type: "result" as const, subtype: "success", is_error: false, total_cost_usd: 5 };
  expect(costOf(result, 0)).toBe(5);
  expect(costOf(result, 2)).toBe(3);
  expect(costOf(result, 7)).toBe(5);
  expect(costOf(result, undefined)).toBeUndefined();
  expect(costOf({ ...result, model_usage_since_last_result: { a: { costUSD: 1 }, b: {} } }, undefined)).toBe(1);
});

function line(value: object): string {
  return JSON.stringify(value);
}
