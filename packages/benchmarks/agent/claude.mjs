#!/usr/bin/env node
// An agent that does nothing but keep time, speaking the stream-json lines of the claude CLI. The prompt is
// {"turn_ms": n}; the result is {"first_byte_at", "result_at"}, epoch milliseconds with a fraction. With "chunks" in the
// prompt it says that many pieces of text, "every_ms" apart, each the time at which it was said.
const now = () => performance.timeOrigin + performance.now();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const sayInStream = (event) => say({ type: "stream_event", event, session_id, parent_tool_use_id: null });

const flag = (name) => process.argv[process.argv.indexOf(name) + 1];
const session_id = process.argv.includes("--resume") ? flag("--resume") : flag("--session-id");

let firstByteAt;
let prompt = "";
process.stdin.setEncoding("utf8");
for await (const chunk of process.stdin) {
  firstByteAt ??= now();
  prompt += chunk;
}
const { turn_ms: turnMs = 0, chunks = 0, every_ms: everyMs = 0 } = JSON.parse(prompt);
say({ type: "system", subtype: "init", session_id, model: "bench", tools: [] });
if (turnMs > 0) await new Promise((resolve) => setTimeout(resolve, turnMs));
if (chunks > 0) sayInStream({ type: "message_start", message: { id: "bench" } });
for (let chunk = 0; chunk < chunks; chunk++) {
  if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
  sayInStream({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: `${now()} ` } });
}
say({
  type: "result",
  subtype: "success",
  is_error: false,
  result: JSON.stringify({ first_byte_at: firstByteAt, result_at: now() }),
  session_id,
  num_turns: 1,
  stop_reason: "end_turn",
  total_cost_usd: 0,
  usage: { input_tokens: 1, output_tokens: 1 },
});
