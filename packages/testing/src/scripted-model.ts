/** A loopback stand-in for the Anthropic Messages API, so that the real CLI runs offline and says what a test wants. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

/** What the model is asked: the body of `POST /v1/messages`, as far as tests look at it. */
export interface ModelRequest {
  readonly model: string;
  readonly system?: unknown;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly tools?: readonly { readonly name: string }[];
  readonly [field: string]: unknown;
}

export type ModelAnswer = ModelText | ModelToolUse | ModelRefusal;

/** Streamed as one delta for each text. `gate`, where given, is awaited before each delta, and before a break. */
export interface ModelText {
  readonly text: readonly string[];
  readonly gate?: ((delta: number) => Promise<unknown>) | undefined;
  /**
   * Why it ends, if not because it is whole: at the limit of tokens, or with a connection that breaks in the middle of
   * the text or behind its last word.
   */
  readonly end?: "max_tokens" | "broken" | "broken_behind" | undefined;
}

export interface ModelToolUse {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** An HTTP error in the provider's shape: 401, 429, 500, 529, … */
export interface ModelRefusal {
  readonly status: number;
  readonly message?: string;
}

export interface ScriptedModel extends AsyncDisposable {
  /** For `ANTHROPIC_BASE_URL`. */
  readonly url: string;
  /** Every request so far, oldest first. */
  readonly requests: readonly ModelRequest[];
}

/** Starts the server; `answer` is asked for each request, with how many came before it. */
export async function startScriptedModel(
  answer: (request: ModelRequest, before: number) => ModelAnswer,
): Promise<ScriptedModel> {
  const requests: ModelRequest[] = [];

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST" || !request.url?.startsWith("/v1/messages")) {
      response.writeHead(404).end();
      return;
    }
    const body = (await json(request)) as ModelRequest;
    const before = requests.push(body) - 1;
    const given = answer(body, before);
    if ("status" in given) refuse(response, given);
    else await stream(response, body.model, given);
  }

  const server = createServer((request, response) => {
    // A client that went away ends its response, and that is all there is to do about it.
    serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const refusals: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

function refuse(response: ServerResponse, { status, message = "scripted" }: ModelRefusal): void {
  const error = { type: refusals[status] ?? "api_error", message };
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ type: "error", error }));
}

async function stream(response: ServerResponse, model: string, answer: ModelText | ModelToolUse): Promise<void> {
  const say = (type: string, fields: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  const isText = "text" in answer;
  const usage = { input_tokens: 10, output_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const id = `${Date.now()}${Math.random().toString(36).slice(2)}`;

  response.writeHead(200, { "content-type": "text/event-stream" });
  say("message_start", {
    message: { id: `msg_${id}`, type: "message", role: "assistant", model, content: [], stop_reason: null, usage },
  });
  say("content_block_start", {
    index: 0,
    content_block: isText
      ? { type: "text", text: "" }
      : { type: "tool_use", id: `toolu_${id}`, name: answer.tool, input: {} },
  });
  if (isText) {
    for (const [i, text] of answer.text.entries()) {
      await answer.gate?.(i);
      say("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
    }
    if (answer.end === "broken") return await breakOff(response, answer);
  } else {
    const partial_json = JSON.stringify(answer.input);
    say("content_block_delta", { index: 0, delta: { type: "input_json_delta", partial_json } });
  }
  say("content_block_stop", { index: 0 });
  if (isText && answer.end === "broken_behind") return await breakOff(response, answer);
  const textEnd = isText && answer.end === "max_tokens" ? answer.end : "end_turn";
  const delta = { stop_reason: isText ? textEnd : "tool_use", stop_sequence: null };
  say("message_delta", { delta, usage: { output_tokens: usage.output_tokens } });
  say("message_stop", {});
  response.end();
}

/** In the middle of the body, behind all that was said: a reset could overtake it. */
async function breakOff(response: ServerResponse, { text, gate }: ModelText): Promise<void> {
  await new Promise<void>((resolve) => response.write(":\n\n", () => resolve()));
  await gate?.(text.length);
  response.socket?.end();
}
