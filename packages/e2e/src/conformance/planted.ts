/** What could be wrong in the document, planted into a copy of it, and how the checks must report it. */
import type { Input } from "./input.ts";

export interface PlantedFault {
  /** For the name of a test. */
  readonly what: string;
  /** The document with it. */
  readonly text: string;
  /** What to ask so that it shows. */
  readonly operation: string;
  readonly input: Input;
  readonly report: RegExp;
}

interface Existing {
  /** Of a run that has completed. */
  readonly runId: string;
  /** Of an agent with a message in its inbox. */
  readonly agentId: string;
}

export function plantFaults(text: string, { runId, agentId }: Existing): PlantedFault[] {
  const known = { path: { run_id: runId } };
  const unknown = { path: { run_id: "unknown" } };
  const hello = { model: "echo", messages: [{ role: "user", content: "hi" }] };
  const faults: Draft[] = [
    {
      what: "a property with another value",
      at: [...schemas, "Run", "properties", "status"],
      put: { const: 1 },
      ask: ["runs_get", known],
      report: /^\/status must be equal to constant/,
    },
    {
      what: "a property that is never there",
      at: [...schemas, "Run", "required"],
      put: ["mood"],
      ask: ["runs_get", known],
      report: /^it must have required property 'mood'/,
    },
    {
      what: "another shape of errors",
      at: [...schemas, "Error", "properties", "error"],
      put: { required: ["hint"] },
      ask: ["runs_get", unknown],
      report: /^\/error must have required property 'hint'/,
    },
    {
      what: "a missing error status",
      at: [...answersOf("/api/v1/runs/{run_id}"), "404"],
      ask: ["runs_get", unknown],
      report: /the document has no 404/,
    },
    {
      what: "a missing status of success",
      at: [...answersOf("/api/v1/status"), "200"],
      ask: ["system_status"],
      report: /the document has no 200/,
    },
    {
      what: "another media type",
      at: [...answersOf("/ready"), "200", "content"],
      put: { "text/plain": { schema: {} } },
      ask: ["ready"],
      report: /200 came as application\/json/,
    },
    {
      what: "a missing body",
      at: [...answersOf("/ready"), "200", "content"],
      ask: ["ready"],
      report: /200 has a body/,
    },
    {
      what: "a header that is never there",
      at: [...answersOf("/ready"), "200", "headers"],
      put: { "x-mood": { required: true, schema: {} } },
      ask: ["ready"],
      report: /the header x-mood is missing/,
    },
    {
      what: "a header with another value",
      at: [...answersOf("/openapi.json"), "200", "headers"],
      put: { etag: { schema: { const: 1 } } },
      ask: ["openapi_document"],
      report: /the header etag: it must be equal to constant/,
    },
    {
      what: "other events",
      at: [...schemas, "RunTextEvent", "properties", "payload"],
      put: { type: "array" },
      ask: ["runs_events", known],
      report: /^\/payload must be array/,
    },
    {
      what: "other messages of an inbox",
      at: [...schemas, "Message", "properties", "payload"],
      put: { type: "array" },
      ask: ["messages_inbox", { path: { agent_id: agentId }, query: { from: "oldest" } }],
      report: /^\/payload must be array/,
    },
    {
      what: "other chunks",
      at: [...schemas, "ChatCompletionChunk", "properties", "choices"],
      put: { const: 1 },
      ask: ["openai_chat_completions", { body: { ...hello, stream: true } }],
      report: /^\/choices must be equal to constant/,
    },
    {
      what: "a field that may be missing and may not",
      at: [...schemas, "SpawnInput", "required"],
      put: [],
      ask: ["runs_spawn", { body: { model: "echo" } }],
      report: /a valid prompt \(undefined\) was refused/,
    },
    {
      what: "a parameter without its limit",
      at: ["paths", "/api/v1/runs", "get", "parameters"],
      put: [],
      ask: ["runs_list", { query: { limit: 501 } }],
      report: /a valid limit \(501\) was refused/,
    },
    {
      what: "a field of a body without its limit, where a path names the rest",
      at: [...bodyOf("/api/v1/state/{namespace}/{key}", "put"), "properties", "if_version"],
      put: {},
      ask: ["state_set", { path: { namespace: "plans", key: "planted" }, body: { value: 1, if_version: -1 } }],
      report: /a valid if_version \(-1\) was refused/,
    },
    {
      what: "a field of a chat without its limit",
      at: [...schemas, "ChatCompletionRequest", "properties", "n"],
      put: {},
      ask: ["openai_chat_completions", { body: { ...hello, n: 0 } }],
      report: /a valid n \(0\) was refused/,
    },
  ];
  return faults.map(({ what, at, put, ask: [operation, given], report }) => {
    const input = { path: {}, query: {}, header: {}, body: undefined, ...given };
    return { what, text: plant(text, at, put), operation, input, report };
  });
}

interface Draft {
  readonly what: string;
  readonly at: readonly string[];
  /** Left out, what is there is removed. */
  readonly put?: unknown;
  readonly ask: readonly [operation: string, input?: Partial<Input>];
  readonly report: RegExp;
}

const schemas = ["components", "schemas"];

function answersOf(path: string): string[] {
  return ["paths", path, "get", "responses"];
}

function bodyOf(path: string, method: string): string[] {
  return ["paths", path, method, "requestBody", "content", "application/json", "schema"];
}

/** Puts `value` at `place`, or removes what is there where it is undefined. */
export function plant(text: string, place: readonly string[], value: unknown): string {
  const document: unknown = JSON.parse(text);
  const parent = place.slice(0, -1).reduce((at, name) => fieldsOf(at, place)[name], document);
  fieldsOf(parent, place)[place.at(-1) ?? ""] = value;
  return JSON.stringify(document);
}

function fieldsOf(value: unknown, place: readonly string[]): Record<string, unknown> {
  if (!isObject(value)) throw new Error(`The document has nothing at ${place.join(" / ")}.`);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
