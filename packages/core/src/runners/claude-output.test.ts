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

const ofMessage = (event: object, more?: object) => line({ type: "stream_event", event, ...more });
const begins = (id: string) => ofMessage({ type: "message_start", message: { id } });
const says = (text: string, index = 0) =>
  ofMessage({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
const stops = (stop_reason: string) => ofMessage({ type: "message_delta", delta: { stop_reason } });
const breaksOff = (from_block_index: number) =>
  ofMessage({ type: "message_stop" }, { abandoned_blocks: { api_message_id: "m", from_block_index } });
const usesTool = (more: object = {}) =>
  line({ type: "assistant", message: { id: "m", content: [{ type: "tool_use", id: "t", name: "Read" }] }, ...more });
const ends = (result: string) => line({ type: "result", subtype: "success", result });

/** What is left of the text when all of it was read, and what the turn's answer is. */
function follow(...lines: string[]) {
  const { read } = createClaudeReader();
  let [text, answer] = ["", ""];
  for (const item of lines.flatMap((each) => read(each) ?? [])) {
    if (item.kind === "result") answer = item.answer;
    if (item.kind !== "event") continue;
    const { event_type, payload } = item.event;
    if (event_type === "run.text") text += payload.text;
    if (event_type === "run.retracted") text = text.slice(0, -payload.chars);
  }
  return { text, answer };
}

test("text of a message that the provider broke off is retracted, and what was whole of it is not", () => {
  const again = [begins("n"), says("new words"), ends("new words")];
  expect(follow(begins("m"), says("old "), says("wörds 😀"), breaksOff(0), ...again).text).toBe("new words");
  expect(follow(begins("l"), says("kept "), begins("m"), says("void"), breaksOff(0), ...again).text).toBe(
    "kept new words",
  );
  expect(follow(begins("m"), says("kept "), says("void", 1), breaksOff(1), ...again).text).toBe("kept new words");
  const { read } = createClaudeReader();
  read(begins("m"));
  expect(read(breaksOff(0))).toEqual([]);
});

test("the answer has what was said before the provider broke off, as far as the agent went on from there", () => {
  const end = [begins("n"), says("end"), stops("end_turn"), ends("end")];
  expect(
    follow(begins("k"), says("a "), stops("max_tokens"), begins("m"), says("b "), stops("max_tokens"), ...end),
  ).toEqual({ text: "a b end", answer: "a b end" });
  expect(follow(begins("m"), says("kept "), says("void", 1), breaksOff(1), ...end).answer).toBe("kept end");
  expect(
    follow(begins("k"), says("a "), stops("max_tokens"), begins("m"), says("vo"), breaksOff(0), ...end).answer,
  ).toBe("a end");
  const whole = { id: "k", content: [{ type: "text", text: "a " }], stop_reason: "max_tokens" };
  expect(follow(line({ type: "assistant", message: whole }), ...end).answer).toBe("a end");
});

test("the answer has nothing of another message, of what was said before a tool, or of a sub-agent", () => {
  const end = [begins("n"), says("end"), ends("end")];
  expect(follow(begins("m"), says("aside"), stops("end_turn"), ...end).answer).toBe("end");
  expect(follow(begins("m"), says("aside"), usesTool(), says(" b ", 2), stops("max_tokens"), ...end).answer).toBe(
    " b end",
  );
  expect(follow(begins("k"), says("aside"), stops("max_tokens"), begins("m"), usesTool(), ...end).answer).toBe("end");
  const ofOther = usesTool({ parent_tool_use_id: "task" });
  expect(follow(begins("k"), says("a "), stops("max_tokens"), ofOther, ...end).answer).toBe("a end");
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

test("an answer in JSON is read however deep the model nested it, with every key", () => {
  const output = `{"__proto__":1,"deep":${"[".repeat(50_000)}${"]".repeat(50_000)}}`;
  const { read } = createClaudeReader();
  const [said] = read(`{"type":"result","subtype":"success","result":"","structured_output":${output}}`) ?? [];
  const answer = said?.kind === "result" ? said.result.structured_output : undefined;
  expect(Object.keys(answer ?? {})).toEqual(["__proto__", "deep"]);
});

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
