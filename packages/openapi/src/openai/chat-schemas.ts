/**
 * The shapes of OpenAI's chat API, as far as they are served. `chat-unserved.ts` refuses what fits them and cannot be
 * honoured; fields that are not named here are ignored, as OpenAI clients rely on.
 */
import { schemas } from "@ksi/contract";
import { z } from "zod";

const textPart = z.looseObject({ type: z.literal("text"), text: z.string() });
const refusalPart = z.looseObject({ type: z.literal("refusal"), refusal: z.string() });
const imagePart = z.looseObject({
  type: z.literal("image_url"),
  image_url: z.looseObject({
    url: z.string().describe("A data URI of a PNG, JPEG, GIF or WebP image in base64. Other URLs are refused (400)."),
  }),
});
const audioPart = z.looseObject({ type: z.literal("input_audio") }).describe("Not served: refused (400).");
const filePart = z.looseObject({ type: z.literal("file") }).describe("Not served: refused (400).");

export const contentPart = z.discriminatedUnion("type", [textPart, imagePart, refusalPart, audioPart, filePart]);

const content = z.union([z.string(), z.array(contentPart)]);
const maybeContent = content.nullish();

export const chatMessage = z.discriminatedUnion("role", [
  z.looseObject({ role: z.literal("system"), content }),
  z.looseObject({ role: z.literal("developer"), content }),
  z.looseObject({ role: z.literal("user"), content }),
  z.looseObject({ role: z.literal("assistant"), content: maybeContent, tool_calls: z.array(z.json()).nullish() }),
  z.looseObject({ role: z.literal("tool"), content, tool_call_id: z.string() }),
  z.looseObject({ role: z.literal("function"), content: maybeContent, name: z.string() }),
]);

const stopSequence = z.string().max(256, "must be at most 256 characters");
const flag = z.union([z.boolean(), z.literal(["true", "false"])]);

export const chatMetadata = z
  .object({
    session_id: schemas.sessionId
      .optional()
      .describe("Continue this session, or start one under this id. The same as the header x-ksi-session-id."),
    enable_tools: flag.optional().describe("Whether the agent may use its own tools. Default: true."),
    agent_id: schemas.agentId.optional().describe("The agent on whose behalf this runs."),
    keep_on_disconnect: flag
      .optional()
      .describe("Let the turn run to its end when the client goes away. Default: false, it is cancelled then."),
    echo: z.json().optional().describe("Scripts the model echo; an object, or its JSON as a string."),
  })
  .catchall(z.json())
  .describe("Strings, as with OpenAI; true and false are taken as well. Other fields are kept with the run.");

const responseFormat = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({
    type: z.literal("json_schema"),
    json_schema: z.looseObject({
      name: z.string(),
      schema: schemas.jsonObject.optional(),
      strict: z.boolean().nullish(),
    }),
  }),
]);

const ignored = z.unknown().optional().describe("Accepted and ignored: the agent decides this itself.");

/** The body of `POST /v1/chat/completions`. */
export const chatCompletionRequest = z.looseObject({
  model: z.string().min(1, "must not be empty").describe("One of GET /v1/models, or any name that a runner serves."),
  messages: z
    .array(chatMessage)
    .min(1, "must hold at least one message")
    .describe("With a session id only what follows the last assistant message is read; else the whole transcript."),
  stream: z.boolean().nullish().describe("Answer with server-sent events. Default: false."),
  stream_options: z
    .looseObject({
      include_usage: z.boolean().nullish().describe("A last chunk with the usage, where the agent reported one."),
    })
    .nullish(),
  stop: z
    .union([stopSequence, z.array(stopSequence).max(4, "must hold at most 4 sequences")])
    .nullish()
    .describe("The answer is cut before the first of these."),
  response_format: responseFormat.nullish(),
  metadata: chatMetadata.nullish(),
  n: z.int().min(1).nullish().describe("Only 1 is served."),
  tools: z.array(z.json()).nullish().describe("Must be empty: function calling is not served yet."),
  functions: z.array(z.json()).nullish().describe("Must be empty: function calling is not served yet."),
  tool_choice: z.json().optional().describe("Only none and auto are served."),
  function_call: z.json().optional().describe("Only none and auto are served."),
  logprobs: z.boolean().nullish().describe("Only false is served."),
  modalities: z.array(z.string()).nullish().describe("Only text is served."),
  max_tokens: ignored,
  max_completion_tokens: ignored,
  temperature: ignored,
  top_p: ignored,
  seed: ignored,
  frequency_penalty: ignored,
  presence_penalty: ignored,
  reasoning_effort: ignored,
  parallel_tool_calls: ignored,
  store: ignored,
  user: ignored,
});

const finishReasons = ["stop", "length", "content_filter"] as const;

export const chatUsage = z
  .object({
    prompt_tokens: z.int().describe("All input: fresh, read from the cache and written to it."),
    completion_tokens: z.int(),
    total_tokens: z.int(),
    prompt_tokens_details: z.object({ cached_tokens: z.int() }),
  })
  .describe("As the agent reported it. Absent where it reported none: nothing is estimated.");

export const answerMetadata = z.object({
  session_id: schemas.sessionId,
  run_id: schemas.runId,
  model: z.string().optional().describe("The model that answered, where it has another name than the one asked for."),
});

const created = z.int().describe("Seconds since 1970.");

/** The answer without `stream`. */
export const chatCompletion = z.object({
  id: z.string().describe("chatcmpl- and the run's id."),
  object: z.literal("chat.completion"),
  created,
  model: z.string().describe("The model that was asked for."),
  choices: z.array(
    z.object({
      index: z.literal(0),
      message: z.object({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
      logprobs: z.null(),
      finish_reason: z.enum(finishReasons),
    }),
  ),
  usage: chatUsage.optional(),
  metadata: answerMetadata,
});

/** One `data:` of the answer with `stream`; the last one is `[DONE]`, or an {@link openAiError} and no `[DONE]`. */
export const chatCompletionChunk = z.object({
  id: z.string().describe("chatcmpl- and the run's id; the same in all chunks."),
  object: z.literal("chat.completion.chunk"),
  created,
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.literal(0),
      delta: z.object({ role: z.literal("assistant").optional(), content: z.string().optional() }),
      logprobs: z.null(),
      finish_reason: z.enum(finishReasons).nullable(),
    }),
  ),
  usage: chatUsage.nullish().describe("With include_usage: null in all chunks but the last, which has no choices."),
  metadata: answerMetadata.optional().describe("In the first chunk and in the one with the finish_reason."),
});

/** One of {@link modelList}. */
export const model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created,
  owned_by: z.string().describe("The runner that serves it."),
});

/** The answer of `GET /v1/models`. */
export const modelList = z.object({ object: z.literal("list"), data: z.array(model) });

/** What every failure under `/v1` answers. */
export const openAiError = z.object({
  error: z.object({
    message: z.string().describe("What happened and what to do next."),
    type: z.string().describe("The family, such as invalid_request_error."),
    param: z.string().nullable().describe("The field at fault, such as messages[0].content."),
    code: z.string().nullable().describe("The code of KSI in lower case, or OpenAI's own where it has one."),
  }),
});

export type ChatCompletionRequest = z.infer<typeof chatCompletionRequest>;
export type ChatMessage = z.infer<typeof chatMessage>;
export type ContentPart = z.infer<typeof contentPart>;
export type ChatMetadata = z.infer<typeof chatMetadata>;
export type ChatUsage = z.infer<typeof chatUsage>;
export type ChatCompletion = z.infer<typeof chatCompletion>;
export type ChatCompletionChunk = z.infer<typeof chatCompletionChunk>;
export type AnswerMetadata = z.infer<typeof answerMetadata>;
export type FinishReason = (typeof finishReasons)[number];
export type Model = z.infer<typeof model>;
export type ModelList = z.infer<typeof modelList>;
export type OpenAiError = z.infer<typeof openAiError>;
