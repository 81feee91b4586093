/** The OpenAI-compatible routes, as the document says them. */
import { type ErrorCode, KsiError, schemas } from "@ksi/contract";
import { z } from "zod";
import type { DescribedOperation, ErrorBody, Example } from "../document/document.ts";
import * as chat from "../openai/chat-schemas.ts";
import { openAiErrors, toOpenAiError } from "../openai/errors.ts";
import { nameOptions, nameSchemas } from "./component-names.ts";

export const openAiComponents: Readonly<Record<string, z.ZodType>> = {
  ...nameSchemas(chat),
  ...nameOptions(chat.chatMessage, "role", "ChatMessage"),
  ...nameOptions(chat.contentPart, "type", "ContentPart"),
};

export const openAiErrorBody: ErrorBody = {
  schema: chat.openAiError,
  statuses: {
    400: text(
      "INVALID_INPUT",
      "The request is not valid; `param` names the field.",
      "messages: must hold at least one message",
    ),
    401: text(
      "UNAUTHORIZED",
      "The key is missing or wrong: it is the daemon's token.",
      "This needs the daemon's token.",
    ),
    403: text(
      "FORBIDDEN",
      "The `Host` or `Origin` of the request is not allowed.",
      "This Host is not one of the daemon's names.",
    ),
    404: text(
      "MODEL_NOT_FOUND",
      "There is no such model or session.",
      "No runner serves the model gpt-4. Ready here: sonnet.",
    ),
    408: text(
      "TIMEOUT",
      "The run took longer than the server waits. It is cancelled.",
      "The answer took longer than 600000 ms.",
    ),
    409: text(
      "CONFLICT",
      "The `Idempotency-Key` was used with another request.",
      "This idempotency_key was used with another body.",
    ),
    422: text(
      "OUTPUT_INVALID",
      "The agent reached a limit, or its answer never satisfied `response_format`.",
      "The agent gave no such JSON.",
    ),
    429: text(
      "RATE_LIMITED",
      "Too many requests, here or at the provider.",
      "The daemon takes 60000 requests a minute.",
    ),
    499: text("RUN_CANCELLED", "Somebody cancelled the run.", "The run was cancelled."),
    500: text("INTERNAL", "A fault of KSI's. The daemon's log has the cause.", "Something went wrong inside KSI."),
    502: text("RUNNER_CRASHED", "The agent or its provider has failed.", "The agent's process ended without a result."),
    503: text(
      "STORE_UNAVAILABLE",
      "Redis is away, the daemon is stopping, or the provider is overloaded.",
      "Nothing answers at Redis's address.",
    ),
    504: text(
      "RUN_TIMED_OUT",
      "The run reached its own time limit.",
      "The run took longer than its limit of 300000 ms.",
    ),
  },
};

const statusesOf = (...codes: ErrorCode[]) => codes.map((code) => openAiErrors[code].status);

/** A method that is not served is none of the operation's. */
const foreign: number = openAiErrors.METHOD_NOT_ALLOWED.status;
const always = statusesOf("UNAUTHORIZED", "FORBIDDEN", "RATE_LIMITED", "INTERNAL", "STORE_UNAVAILABLE");

const timing = {
  "openai-processing-ms": z.int().describe("From the arrival of the request to this answer."),
  "x-ksi-overhead-ms": z.number().describe("The part of it that KSI took, and not the agent."),
};

const json = (schema: z.ZodType) => ({ "application/json": schema });
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const run_id = "0b6f7c4e-5d1a-4f0e-9a57-2f1c8f3f6c10";
const models = [
  { id: "sonnet", object: "model", created: 1_795_255_200, owned_by: "claude" },
  { id: "echo", object: "model", created: 1_795_255_200, owned_by: "echo" },
];

export const openAiOperations: readonly DescribedOperation[] = [
  {
    method: "POST",
    path: "/v1/chat/completions",
    operationId: "openai_chat_completions",
    summary: "Run an agent as a chat completion",
    description:
      "A run like any other, in the shape of OpenAI's API. Without a session the whole transcript is the prompt. With " +
      "`stream` the answer is server-sent events: chunks, then `data: [DONE]`; a run that fails on the way sends a chunk " +
      "with `error` and no `[DONE]`. A client that goes away cancels its run; with an `Idempotency-Key` the run goes on " +
      "for half a minute, in which a repeat attaches to it.",
    tags: ["openai"],
    input: chat.chatCompletionRequest,
    requestHeaders: z.object({
      "Idempotency-Key": z
        .string()
        .min(1)
        .max(200)
        .optional()
        .describe("A repeat with the same key gets the same answer."),
      "x-ksi-session-id": schemas.sessionId.optional().describe("The same as `metadata.session_id`."),
    }),
    answers: {
      200: {
        description: "The answer as one object, or with `stream` as events.",
        content: { "application/json": chat.chatCompletion, "text/event-stream": chat.chatCompletionChunk },
        headers: z.object({ "x-ksi-session-id": schemas.sessionId, "x-ksi-run-id": schemas.runId, ...timing }),
      },
    },
    errors: Object.values(openAiErrors)
      .map(({ status }) => status)
      .filter((status) => status !== foreign),
    errorBody: "OpenAi",
    examples: {
      request: {
        question: { value: { model: "sonnet", messages: [{ role: "user", content: "What is 2+2?" }] } },
        session: {
          summary: "The next turn of a session, as a stream",
          value: {
            model: "sonnet",
            messages: [{ role: "user", content: "And twice that?" }],
            stream: true,
            metadata: { session_id },
          },
        },
      },
      answers: {
        200: {
          answer: {
            value: {
              id: `chatcmpl-${run_id}`,
              object: "chat.completion",
              created: 1_795_255_200,
              model: "sonnet",
              choices: [
                {
                  index: 0,
                  message: { role: "assistant", content: "2 + 2 is 4.", refusal: null },
                  logprobs: null,
                  finish_reason: "stop",
                },
              ],
              usage: {
                prompt_tokens: 14_882,
                completion_tokens: 9,
                total_tokens: 14_891,
                prompt_tokens_details: { cached_tokens: 14_870 },
              },
              metadata: { session_id, run_id },
            },
          },
        },
      },
    },
  },
  {
    method: "GET",
    path: "/v1/models",
    operationId: "openai_models_list",
    summary: "The models that would run now",
    tags: ["openai"],
    answers: { 200: { description: "Success.", content: json(chat.modelList), headers: z.object(timing) } },
    errors: always,
    errorBody: "OpenAi",
    examples: { answers: { 200: { models: { value: { object: "list", data: models } } } } },
  },
  {
    method: "GET",
    path: "/v1/models/{model}",
    operationId: "openai_models_get",
    summary: "One model",
    tags: ["openai"],
    input: z.object({ model: z.string().describe("Its id; may hold slashes.") }),
    answers: { 200: { description: "Success.", content: json(chat.model), headers: z.object(timing) } },
    errors: [...always, ...statusesOf("MALFORMED_REQUEST", "MODEL_NOT_FOUND")],
    errorBody: "OpenAi",
    examples: { answers: { 200: { model: { value: models[0] } } } },
  },
];

/** What a status means here, and what one of its errors looks like. */
function text(code: ErrorCode, description: string, message: string) {
  const { error } = toOpenAiError(new KsiError(code, message));
  const examples: Record<string, Example> = { [error.code ?? code]: { value: { error } } };
  return { description, examples };
}
