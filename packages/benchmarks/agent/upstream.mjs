// A provider that does nothing but keep time: the chat completions of the OpenAI API, for gateways to stand before.
// The last message is {"work_ms", "chunks", "every_ms"}; each piece of the answer is the epoch ms at which it was said.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const now = () => performance.timeOrigin + performance.now();
const common = { id: "chatcmpl-bench", created: 1, model: "bench" };

const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request.setEncoding("utf8")) body += part;
  const { messages, stream } = JSON.parse(body);
  const { work_ms, chunks, every_ms } = JSON.parse(messages.at(-1).content);
  if (work_ms > 0) await sleep(work_ms);
  if (!stream) {
    const choice = { index: 0, message: { role: "assistant", content: String(now()) }, finish_reason: "stop" };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...common, object: "chat.completion", choices: [choice], usage }));
    return;
  }
  response.setHeader("content-type", "text/event-stream");
  const say = (delta, finish_reason = null) => {
    const chunk = { ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  say({ role: "assistant", content: "" });
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (every_ms > 0) await sleep(every_ms);
    say({ content: `${now()} ` });
  }
  say({}, "stop");
  response.end("data: [DONE]\n\n");
});

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
