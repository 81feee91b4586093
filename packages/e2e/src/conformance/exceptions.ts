/** Where an input that fits the document is still refused, since JSON Schema cannot say why: the whole list. */
import type { Operation } from "./api-document.ts";
import type { Input } from "./input.ts";
import type { Answer } from "./send.ts";

/** The refusals in `answer` that no row of the table explains, a sentence each. */
export function unexcused({ id }: Operation, input: Input, answer: Answer): string[] {
  return refusedFields(answer).flatMap((field) => {
    const value = valueAt(input, field);
    const isExcused = exceptions.some(
      ({ operations, fields, holds }) => operations.test(id) && fields.test(field) && holds(value, input),
    );
    const shown = JSON.stringify(value)?.slice(0, 100);
    return isExcused ? [] : [`a valid ${field || "request"} (${shown}) was refused: ${answer.body.slice(0, 300)}`];
  });
}

interface Exception {
  readonly operations: RegExp;
  /** The field as the answer names it: the path of an issue, or the `param` under `/v1`; empty where it names none. */
  readonly fields: RegExp;
  readonly reason: string;
  /** Whether this is such an input. */
  holds(value: unknown, input: Input): boolean;
}

const maxJsonBytes = 65_536;
const maxPayloadBytes = 262_144;
const maxHops = 32;
const shippedProfiles = ["assistant", "coder", "critic", "researcher", "student", "teacher"];

const exceptions: readonly Exception[] = [
  {
    operations: /./,
    fields: /./,
    reason: "JSON Schema counts characters, and KSI UTF-16 units, of which an emoji has two",
    holds: (value) => typeof value === "string" && value.length !== [...value].length,
  },
  {
    operations: /^runs_spawn$/,
    fields: /^images\.\d+\.data$/,
    reason: "base64 has a multiple of four characters",
    holds: (value) => typeof value === "string" && value.length % 4 !== 0,
  },
  {
    operations: /^(runs_spawn|agents_register)$/,
    fields: /^(metadata|output_schema)$/,
    reason: "free JSON has a limit in bytes",
    holds: (value) => bytesOf(value) > maxJsonBytes,
  },
  {
    operations: /^(messages_send|messages_request|events_publish|state_set)$/,
    fields: /^(payload|value)$/,
    reason: "a payload has a limit in bytes",
    holds: (value) => bytesOf(value) > maxPayloadBytes,
  },
  {
    operations: /^messages_(send|request)$/,
    fields: /^capability$/,
    reason: "a message has one address: a target or a capability",
    holds: (_, { body }) => isObject(body) && "target" in body && "capability" in body,
  },
  {
    operations: /^messages_inbox$/,
    fields: /^from$/,
    reason: "who shares an inbox takes from it, and cannot only look",
    holds: (_, { query }) => isObject(query) && query.mode === "shared",
  },
  {
    operations: /^messages_sendBatch$/,
    fields: /^messages\.\d+\.(capability|payload)$/,
    reason: "each message of a batch has the same address and limit as one by itself",
    holds: (_, { body }) =>
      isObject(body) &&
      Array.isArray(body.messages) &&
      body.messages.some(
        (message) =>
          isObject(message) &&
          (("target" in message && "capability" in message) || bytesOf(message.payload) > maxPayloadBytes),
      ),
  },
  {
    operations: /^messages_request$/,
    fields: /^target$/,
    reason: "a request has a receiver: a target or a capability",
    holds: (_, { body }) => isObject(body) && !("target" in body) && !("capability" in body),
  },
  {
    operations: /^messages_(send|request)$/,
    fields: /^$/,
    reason: "a message that has passed through too many hands goes in circles, and the limit is the daemon's",
    holds: (_, { body }) => isObject(body) && Number(body.hops) > maxHops,
  },
  {
    operations:
      /^(runs_spawn|agents_register|messages_(send|request)|events_publish|state_set|openai_chat_completions)$/,
    fields: /^(metadata|output_schema|payload|value)\./,
    reason: "superjson carries no keys of prototypes, so that what holds one could be given to no client",
    holds: (_, { body }) => /"(__proto__|constructor|prototype)":/.test(JSON.stringify(body)),
  },
  {
    operations: /^runs_spawn$/,
    fields: /^agent_profile$/,
    reason: "the profile must exist, and only the daemon knows which do",
    holds: (value) => !shippedProfiles.includes(String(value)),
  },
  {
    operations: /^runs_spawn$/,
    fields: /^cwd$/,
    reason: "the folder must exist, and only the daemon knows which do",
    holds: (value) => value !== ".",
  },
  {
    operations: /^runs_spawn$/,
    fields: /^$/,
    reason: "a runner must serve the model, and they know names that nobody lists",
    holds: (_, { body }) => isObject(body) && !["echo", "sonnet", undefined].includes(textOf(body.model)),
  },
  {
    operations: /^runs_spawn$/,
    fields: /^images$/,
    reason: "the model must take images",
    holds: (_, { body }) => isObject(body) && body.model !== "sonnet",
  },
  {
    operations: /_(list|messages|deadLetters)$/,
    fields: /^after$/,
    reason: "what is not a `next` of the same list leads nowhere",
    holds: () => true,
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^n$/,
    reason: "one answer is served",
    holds: (value) => Number(value) > 1,
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^tools$/,
    reason: "function calling is not served yet, and saying so beats ignoring it",
    holds: (_, { body }) => isObject(body) && asksForFunctions(body),
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^(logprobs|modalities)$/,
    reason: "agents report no probabilities, and say only text",
    holds: (value) => value === true || (Array.isArray(value) && value.some((each) => each !== "text")),
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^messages\[\d+\]\.content\[\d+\]\.(input_audio|file|image_url)$/,
    reason: "of images only data URIs are served, and of audio and files nothing",
    holds: () => true,
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^messages$/,
    reason: "there must be something to answer",
    holds: (messages) => Array.isArray(messages) && saysNothing(messages.at(-1)),
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^messages$/,
    reason: "the model must take images",
    holds: (messages, { body }) =>
      isObject(body) && body.model !== "sonnet" && JSON.stringify(messages).includes('"image_url"'),
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^metadata(\.echo.*)?$/,
    reason: "metadata have a limit in bytes, and the model echo reads a script from them",
    holds: (_, { body }) =>
      isObject(body) && isObject(body.metadata) && ("echo" in body.metadata || bytesOf(body.metadata) > maxJsonBytes),
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^metadata\.session_id$/,
    reason: "the header and the body must not name two sessions",
    holds: (value, { header }) => value !== header["x-ksi-session-id"],
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^response_format$/,
    reason: "the agent may fail to give such an answer, and the model echo only repeats",
    holds: (value) => isObject(value) && value.type !== "text",
  },
  {
    operations: /^openai_chat_completions$/,
    fields: /^$/,
    reason: "an agent that has reached a limit has no answer",
    holds: (_, input) => failsOnOrder(input),
  },
];

/** The model echo can be told how to end, and the routes of `/v1` then answer as if an agent had ended so. */
export function failsOnOrder({ body }: Input): boolean {
  return JSON.stringify(body)?.includes('"fail"') ?? false;
}

function asksForFunctions({ tools, functions, tool_choice, function_call }: Record<string, unknown>): boolean {
  const isFull = (list: unknown) => Array.isArray(list) && list.length > 0;
  const forces = (choice: unknown) => choice != null && choice !== "auto" && choice !== "none";
  return isFull(tools) || isFull(functions) || forces(tool_choice) || forces(function_call);
}

function saysNothing(message: unknown): boolean {
  if (!isObject(message)) return false;
  const { role, content } = message;
  return role !== "user" || content === "" || Array.isArray(content);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? "");
}

/** As the answer names them, one empty name where it names none. */
function refusedFields({ body }: Answer): string[] {
  const { error }: { error?: { issues?: { path: string }[]; param?: string | null } } = JSON.parse(body);
  return error?.issues?.map(({ path }) => path) ?? [error?.param ?? ""];
}

/** `messages[0].content` and `images.0.data` lead into the body; other names are of parameters. */
function valueAt({ body, query, path, header }: Input, field: string): unknown {
  const steps = field.replaceAll(/\[(\d+)\]/g, ".$1").split(".");
  const name = steps[0] ?? "";
  const root = [body, query, path, header].find((fields) => isObject(fields) && Object.hasOwn(fields, name));
  return steps.reduce<unknown>((value, step) => (isObject(value) ? value[step] : undefined), root);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
