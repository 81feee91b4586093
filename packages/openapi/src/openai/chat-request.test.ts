import { KsiError, schemas } from "@ksi/contract";
import { expect, test } from "vitest";
import { readChatRequest } from "./chat-request.ts";
import { toOpenAiError } from "./errors.ts";
import { hello } from "./testing/ask.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const other = "00000000-0000-4000-8000-000000000000";

function read(body: object, headers: Record<string, string> = {}) {
  return readChatRequest({ ...hello, ...body }, new Headers(headers));
}

/** What the client is told. */
function refusal(body: unknown, headers: Record<string, string> = {}) {
  try {
    readChatRequest(body, new Headers(headers));
  } catch (thrown) {
    return toOpenAiError(KsiError.from(thrown)).error;
  }
  return undefined;
}

test("the least request is a run of the prompt with the model asked for", () => {
  const { spawn, answer, keepOnDisconnect } = read({});
  expect(spawn).toEqual(schemas.spawnInput.parse({ prompt: "hello", model: "echo" }));
  expect(answer).toEqual({ model: "echo", isStream: false, includeUsage: false, stops: [], isJson: false });
  expect(keepOnDisconnect).toBe(false);
});

test("fields that agents decide themselves, null and fields that nobody knows are ignored", () => {
  const ignored = {
    max_tokens: 5,
    max_completion_tokens: 5,
    temperature: 0,
    seed: 1,
    user: "me",
    store: true,
    parallel_tool_calls: false,
    logit_bias: { 50256: -100 },
    x_custom: {},
  };
  const empty = { stream: null, n: null, stop: null, tools: [], tool_choice: "auto", logprobs: false, metadata: null };
  expect(read({ ...ignored, ...empty, modalities: ["text"], response_format: { type: "text" } })).toEqual(read({}));
});

test("metadata steers the run, and what is left of it is kept with the run", () => {
  const metadata = { session_id, agent_id: "alice", enable_tools: "false", keep_on_disconnect: true, ticket: "T-1" };
  const { spawn, keepOnDisconnect } = read({ metadata });
  expect(spawn).toMatchObject({ session_id, agent_id: "alice", enable_tools: false });
  expect(spawn.metadata).toEqual({ keep_on_disconnect: true, ticket: "T-1" });
  expect(keepOnDisconnect).toBe(true);
  expect(read({ metadata: { enable_tools: true } }).spawn).toMatchObject({ enable_tools: true, metadata: undefined });
});

test("the script of the echo runner may be JSON in a string", () => {
  expect(read({ metadata: { echo: '{"delay_ms":5}' } }).spawn.metadata).toEqual({ echo: { delay_ms: 5 } });
  expect(read({ metadata: { echo: { delay_ms: 5 } } }).spawn.metadata).toEqual({ echo: { delay_ms: 5 } });
  expect(read({ metadata: { echo: "off the wall" } }).spawn.metadata).toEqual({ echo: "off the wall" });
});

test("the session is named by header or metadata, and by both only if they agree", () => {
  const header = { "x-ksi-session-id": session_id };
  expect(read({}, header).spawn.session_id).toBe(session_id);
  expect(read({ metadata: { session_id } }, header).spawn.session_id).toBe(session_id);
  expect(refusal({ ...hello, metadata: { session_id: other } }, header)?.param).toBe("metadata.session_id");
  expect(refusal(hello, { "x-ksi-session-id": "mine" })?.param).toBe("x-ksi-session-id");
});

test("free JSON that is nested deeper than the stack is malformed, and no fault of the server's", () => {
  const deep = JSON.parse("[".repeat(50_000) + "]".repeat(50_000));
  expect(refusal({ ...hello, metadata: { deep } })?.code).toBe("malformed_request");
  expect(refusal({ ...hello, tools: deep })?.code).toBe("malformed_request");
  expect(refusal({ ...hello, user: deep })).toBeUndefined();
});

test("JSON as response format is an output schema", () => {
  const schema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] };
  const json_schema = { name: "answer", strict: true, schema };
  expect(read({ response_format: { type: "json_schema", json_schema } })).toMatchObject({
    spawn: { output_schema: schema },
    answer: { isJson: true },
  });
  expect(read({ response_format: { type: "json_object" } }).spawn.output_schema).toEqual({ type: "object" });
  expect(read({ response_format: { type: "text" } }).answer.isJson).toBe(false);
});

test("the idempotency key is handed on, bound to the stop sequences too, and not to how the answer travels", () => {
  const key = { "idempotency-key": "k" };
  const plain = read({}, key).spawn;
  expect(plain.idempotency_key).toBe("k");
  expect(read({ stream: true, stream_options: { include_usage: true } }, key).spawn).toEqual(plain);
  expect(read({ stop: "x" }, key).spawn).not.toEqual(plain);
  expect(read({ stop: ["x", ""] }, key)).toEqual(read({ stop: "x" }, key));
  expect(refusal(hello, { "idempotency-key": "k".repeat(201) })?.param).toBe("Idempotency-Key");
  expect(refusal(hello, { "idempotency-key": "" })?.param).toBe("Idempotency-Key");
});

test.each([
  ["nothing", undefined, null],
  ["a list", [], null],
  ["no model", { messages: hello.messages }, "model"],
  ["an empty model", { ...hello, model: "" }, "model"],
  ["no messages", { model: "echo" }, "messages"],
  ["an empty list of messages", { ...hello, messages: [] }, "messages"],
  ["an empty prompt", { ...hello, messages: [{ role: "user", content: "" }] }, "messages"],
  ["too long a prompt", { ...hello, messages: [{ role: "user", content: "x".repeat(1_000_001) }] }, "messages"],
  ["an unknown role", { ...hello, messages: [{ role: "boss", content: "x" }] }, "messages[0].role"],
  ["a user without content", { ...hello, messages: [{ role: "user" }] }, "messages[0].content"],
  [
    "a part without its text",
    { ...hello, messages: [...hello.messages, { role: "user", content: [{ type: "text" }] }] },
    "messages[1].content[0].text",
  ],
  [
    "an unknown part",
    { ...hello, messages: [{ role: "user", content: [{ type: "smell" }] }] },
    "messages[0].content[0].type",
  ],
  ["a stream that is no flag", { ...hello, stream: "yes" }, "stream"],
  ["several answers", { ...hello, n: 2 }, "n"],
  ["no answer", { ...hello, n: 0 }, "n"],
  ["tools", { ...hello, tools: [{ type: "function" }] }, "tools"],
  ["functions", { ...hello, functions: [{ name: "f" }] }, "tools"],
  ["a tool that must be used", { ...hello, tool_choice: "required" }, "tools"],
  ["a function that must be used", { ...hello, tool_choice: { type: "function", function: { name: "f" } } }, "tools"],
  ["log probabilities", { ...hello, logprobs: true }, "logprobs"],
  ["audio as answer", { ...hello, modalities: ["text", "audio"] }, "modalities"],
  ["five stop sequences", { ...hello, stop: ["a", "b", "c", "d", "e"] }, "stop"],
  ["a stop sequence that is endless", { ...hello, stop: ["x".repeat(257)] }, "stop[0]"],
  ["a format that nobody knows", { ...hello, response_format: { type: "xml" } }, "response_format.type"],
  ["a schema without a name", { ...hello, response_format: { type: "json_schema" } }, "response_format.json_schema"],
  ["a session that is no id", { ...hello, metadata: { session_id: "mine" } }, "metadata.session_id"],
  ["a flag that is none", { ...hello, metadata: { enable_tools: "no" } }, "metadata.enable_tools"],
  ["too much metadata", { ...hello, metadata: { much: "x".repeat(70_000) } }, "metadata"],
])("%s is refused by the name of the field", (_, body, param) => {
  expect(refusal(body)).toMatchObject({ type: "invalid_request_error", code: "invalid_input", param });
});

const partAt1 = (part: object, role = "user") => ({
  ...hello,
  messages: [{ role, content: [{ type: "text", text: "x" }, part] }, ...hello.messages],
});
const image = (url: string) => ({ type: "image_url", image_url: { url } });

test.each([
  [image("https://example.com/cat.png"), "image_url"],
  [image("data:image/svg+xml;base64,AAAA"), "image_url"],
  [image("data:image/png,AAAA"), "image_url"],
  [image("data:image/png;base64,?"), "image_url"],
  [{ type: "input_audio", input_audio: { data: "", format: "wav" } }, "input_audio"],
  [{ type: "file", file: { file_id: "f" } }, "file"],
])("the part %j is refused where it stands", (part, name) => {
  expect(refusal(partAt1(part))?.param).toBe(`messages[0].content[1].${name}`);
});

test("an image is taken from its data URI, and none in a system message", () => {
  const { spawn } = readChatRequest(partAt1(image("data:image/JPG;base64,AAAA")), new Headers());
  expect(spawn.images).toEqual([{ media_type: "image/jpeg", data: "AAAA" }]);
  expect(refusal(partAt1(image("data:image/png;base64,AAAA"), "system"))?.param).toBe(
    "messages[0].content[1].image_url",
  );
});

test("what cannot be a model's name is a model that does not exist", () => {
  expect(refusal({ ...hello, model: "--dangerous flag" })).toMatchObject({ code: "model_not_found", param: "model" });
});
