/** From the body and headers of a chat request to the run that it asks for, and how the answer is to look. */
import { type Json, type JsonObject, KsiError, type SpawnInput, schemas } from "@ksi/contract";
import { type ChatCompletionRequest, type ChatMetadata, chatCompletionRequest } from "./chat-schemas.ts";
import { refuseUnserved } from "./chat-unserved.ts";
import { invalidParam } from "./errors.ts";
import { firstIssue, paramOfField } from "./params.ts";
import { toPrompt } from "./prompt.ts";

export interface ChatTurn {
  readonly spawn: SpawnInput;
  readonly answer: AnswerForm;
  /** Whether the run goes on when nobody waits for it any more. */
  readonly keepOnDisconnect: boolean;
}

export interface AnswerForm {
  /** As the caller called it. */
  readonly model: string;
  readonly isStream: boolean;
  readonly includeUsage: boolean;
  readonly stops: readonly string[];
  /** The answer is the run's `output`, as JSON. */
  readonly isJson: boolean;
}

/**
 * Reads `Idempotency-Key` and `x-ksi-session-id` beside the body. `INVALID_INPUT` names the field at fault;
 * `MODEL_NOT_FOUND` for what cannot be a model's name, `MALFORMED_REQUEST` for what is nested too deeply.
 *
 * A key is bound to what the run is spawned with, and to `stop` and `metadata.keep_on_disconnect`, which are therefore
 * kept in the run's metadata. It is not bound to `stream` and `stream_options`, which only say how the same answer
 * travels: a client whose stream broke may ask for the whole answer.
 */
export function readChatRequest(body: unknown, headers: Headers): ChatTurn {
  try {
    return readTurn(body, headers);
  } catch (cause) {
    // Schemas call themselves for each level of free JSON, of which a body can hold more than the stack.
    if (!(cause instanceof RangeError)) throw cause;
    throw new KsiError("MALFORMED_REQUEST", "The body is nested too deeply.", { cause });
  }
}

function readTurn(body: unknown, headers: Headers): ChatTurn {
  const read = chatCompletionRequest.safeParse(body);
  if (!read.success) {
    const { param, message } = firstIssue(read.error);
    throw param ? invalidParam(param, message) : new KsiError("INVALID_INPUT", "The body must be a JSON object.");
  }
  const request = read.data;
  refuseUnserved(request);

  const { model, stream, stream_options, response_format } = request;
  const { session_id: _, agent_id, enable_tools, ...metadata } = request.metadata ?? {};
  const stops = [request.stop ?? []].flat().filter(Boolean);
  const session_id = readSessionId(request.metadata?.session_id, headers);
  const { imageParams, images, ...prompt } = toPrompt(request.messages, session_id !== undefined);
  const spawn = {
    ...prompt,
    ...(images.length > 0 && { images }),
    session_id,
    model,
    agent_id,
    enable_tools: readFlag(enable_tools),
    output_schema: toOutputSchema(response_format),
    idempotency_key: readKey(headers),
    metadata: toRunMetadata(metadata, stops),
  };
  return {
    spawn: parseSpawn(spawn, imageParams),
    answer: {
      model,
      isStream: stream === true,
      includeUsage: stream_options?.include_usage === true,
      stops,
      isJson: spawn.output_schema !== undefined,
    },
    keepOnDisconnect: readFlag(metadata.keep_on_disconnect) === true,
  };
}

function readSessionId(inBody: string | undefined, headers: Headers): string | undefined {
  const inHeader = headers.get("x-ksi-session-id") ?? undefined;
  if (inHeader === undefined) return inBody;
  const { success, error } = schemas.sessionId.safeParse(inHeader);
  if (!success) throw invalidParam("x-ksi-session-id", firstIssue(error).message);
  if (inBody !== undefined && inBody !== inHeader) {
    throw invalidParam("metadata.session_id", "is another session than the header x-ksi-session-id.");
  }
  return inHeader;
}

function readKey(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key") ?? undefined;
  if (key !== undefined && (key.length < 1 || key.length > 200)) {
    throw invalidParam("Idempotency-Key", "must have 1 to 200 characters.");
  }
  return key;
}

function readFlag(value: ChatMetadata["enable_tools"]): boolean | undefined {
  return typeof value === "string" ? value === "true" : value;
}

function toOutputSchema(format: ChatCompletionRequest["response_format"]): JsonObject | undefined {
  if (!format || format.type === "text") return undefined;
  const schema = format.type === "json_schema" ? format.json_schema.schema : undefined;
  return schema ?? { type: "object" };
}

/** What the caller gave, with what else an idempotency key is bound to. */
function toRunMetadata(given: Record<string, Json | undefined>, stops: readonly string[]): JsonObject | undefined {
  const entries = Object.entries(given).flatMap(([name, value]): [string, Json][] => {
    if (value === undefined) return [];
    return [[name, name === "echo" ? readEcho(value) : value]];
  });
  if (stops.length > 0) entries.push(["openai.stop", [...stops]]);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** OpenAI's metadata are strings, and the echo runner is scripted by an object. It says itself what it cannot read. */
function readEcho(echo: Json): Json {
  if (typeof echo !== "string") return echo;
  try {
    return JSON.parse(echo);
  } catch {
    return echo;
  }
}

function parseSpawn(spawn: unknown, imageParams: readonly string[]): SpawnInput {
  const read = schemas.spawnInput.safeParse(spawn);
  if (read.success) return read.data;
  const { param, path, message } = firstIssue(read.error);
  const [field, index] = path;
  if (field === "model") throw new KsiError("MODEL_NOT_FOUND", "There is no such model: this is not a model's name.");
  const image = field === "images" && typeof index === "number" ? imageParams[index] : undefined;
  throw invalidParam(image ?? paramOfField(param), message);
}
