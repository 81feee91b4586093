import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { validate } from "@apidevtools/swagger-parser";
import { agentEvent, messageEvent, runEvent, stateEvent } from "@ksi/contract";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import type { MediaType, OpenApiDocument, OperationObject } from "../document/document.ts";
import { examples } from "./examples.ts";
import { readKsiDocument } from "./read-document.ts";

const text = readKsiDocument();
const document: OpenApiDocument = JSON.parse(text);
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, ...operation })),
);

test("the file that is checked in is what the script writes", async () => {
  const script = join(import.meta.dirname, "../../scripts/write-openapi.ts");
  await expect(promisify(execFile)(process.execPath, [script, "--check"])).resolves.toMatchObject({ stderr: "" });
});

test("two validators of OpenAPI 3.1 find nothing wrong", async () => {
  await expect(validate(JSON.parse(text))).resolves.toBeDefined();
  const validator = new Validator();
  const { errors = [] } = await validator.validate(JSON.parse(text));
  expect([validator.version, errors]).toEqual(["3.1", []]);
});

test("redocly's recommended rules find nothing but what is meant", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const problems = await lintFromString({ source: text, config, absoluteRef: "/openapi.json" });
  expect(problems.map(({ severity, ruleId, location: [at] }) => `${severity} ${ruleId} ${at?.pointer}`)).toEqual([
    // It does not look into patterns. That the options exclude each other is tested below.
    "warn no-illogical-composition-keywords #/components/schemas/Event/oneOf",
    // A WebSocket answers 101.
    "warn operation-2xx-response #/paths/~1ws/get/responses",
  ]);
});

test("every operation has an id of its own, a summary, a tag that is described, and an answer to a caller without token", () => {
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  const described = document.tags?.map(({ name }) => name);
  for (const { name, summary, tags = [], security, responses } of operations) {
    expect([name, summary, tags.length]).toEqual([name, expect.any(String), 1]);
    expect(described).toContain(tags[0]);
    const isOpen = security?.length === 0;
    // Over a WebSocket it is a close code.
    expect([name, "401" in responses]).toEqual([name, !isOpen && name !== "GET /ws"]);
  }
});

test("every procedure and its parameters are described, and every request body and answer has an example", () => {
  const undescribed = operations.flatMap(({ name, parameters = [] }) =>
    parameters.filter(({ description }) => !description).map((parameter) => `${name} ${parameter.name}`),
  );
  expect(undescribed).toEqual([]);
  const bare = operations.filter(({ requestBody }) => requestBody && examplesOf(requestBody.content).length === 0);
  expect(bare.map(({ name }) => name)).toEqual([]);
  const procedures = operations.filter(({ operationId }) => operationId in byId);
  expect(procedures.length).toBe(Object.keys(examples).length);
  for (const { name, responses } of procedures) {
    expect([name, examplesOf(contentOf(responses["200"])).length]).not.toEqual([name, 0]);
  }
});

const byId = Object.fromEntries(Object.keys(examples).map((procedure) => [procedure.replaceAll(".", "_"), procedure]));

test("every reference leads somewhere, and every component is used", () => {
  const refs = new Set([...text.matchAll(/"(#\/components\/[^"]+)"/g)].map(([, ref = ""]) => ref));
  const components = Object.entries(document.components).flatMap(([kind, named]) =>
    kind === "securitySchemes" ? [] : Object.keys(named).map((name) => `#/components/${kind}/${name}`),
  );
  expect([...refs].sort()).toEqual(components.sort());
});

test("every example satisfies its schema, and what is not one of them does not", () => {
  const media = operations.flatMap(({ requestBody, responses }) => [
    ...Object.values(requestBody?.content ?? {}),
    ...Object.values(responses).flatMap((response) => Object.values(contentOf(response))),
  ]);
  const errors = Object.values(document.components.responses ?? {}).flatMap((response) =>
    Object.values(contentOf(response)),
  );
  let checked = 0;
  for (const { schema, examples = {} } of [...media, ...errors]) {
    const isValid = ajv.compile({ ...schema, components: document.components });
    for (const [name, { value }] of Object.entries(examples)) {
      expect([name, value, isValid(value), isValid.errors]).toEqual([name, value, true, null]);
      expect(isValid([value])).toBe(false);
      checked += 1;
    }
  }
  expect(checked).toBeGreaterThan(50);
});

test("an event is exactly one of the options of the firehose", () => {
  const header = {
    id: "1",
    source: "ksi",
    timestamp: "2026-11-21T10:00:00.000Z",
    session_id,
    run_id: "r",
    agent_id: "a",
  };
  const isValid = ajv.compile({ $ref: "#/components/schemas/Event", components: document.components });
  const isCustom = ajv.compile({ $ref: "#/components/schemas/CustomEvent", components: document.components });
  const options = [runEvent, agentEvent, messageEvent, stateEvent].flatMap((union) => [...union.options]);
  const ours = options.map(({ shape }) => shape.event_type.value);
  for (const event_type of [...ours, "session.deleted"]) {
    expect([event_type, isCustom({ ...header, event_type, payload: {} })]).toEqual([event_type, false]);
  }
  expect(isValid({ ...header, event_type: "run.text", payload: { text: "a" } })).toBe(true);
  expect(isValid({ ...header, event_type: "session.deleted", payload: {} })).toBe(true);
  const receipt = { ...header, target: "b", event_type: "message.acked", payload: { message_id: "m" } };
  expect(isValid(receipt)).toBe(true);
  expect(isValid({ ...receipt, payload: {} })).toBe(false);
  const set = { ...header, event_type: "state.set", payload: { namespace: "n", key: "k", version: 1 } };
  expect(isValid(set)).toBe(true);
  expect(isValid({ ...set, event_type: "state.deleted" })).toBe(false);
  expect(isValid({ ...header, event_type: "x.mine", payload: 1 })).toBe(true);
  expect(isValid({ ...header, event_type: "run.unknown", payload: {} })).toBe(false);
});

test("unions of events tell their options by the event's type", () => {
  const { schemas = {} } = document.components;
  const unions = [
    [schemas.RunEvent, runEvent, { "run.text": "#/components/schemas/RunTextEvent" }],
    [schemas.MessageEvent, messageEvent, { "message.acked": "#/components/schemas/MessageAckedEvent" }],
    [schemas.StateEvent, stateEvent, { "state.set": "#/components/schemas/StateSetEvent" }],
  ] as const;
  for (const [schema, { options }, mapping] of unions) {
    expect(schema?.discriminator).toMatchObject({ propertyName: "event_type", mapping });
    expect(Object.keys(schema?.discriminator?.mapping ?? {})).toHaveLength(options.length);
  }
});

test("what comments say in the source is said in the document", () => {
  const { schemas = {} } = document.components;
  expect(schemas.SpawnInput?.properties?.cwd?.description).toMatch(/^Working directory; must lie inside/);
  expect(schemas.RunStartedEvent?.properties?.payload?.description).toMatch(/^`attempt` counts from 1/);
  expect(schemas.ErrorCode?.description).toContain("- `NO_AGENT`: No online agent has the capability;");
  expect(schemas.MessageEvent?.description).toMatch(/^Receipts say what became of a message/);
  expect(schemas.StateFacts?.properties?.version?.description).toMatch(/^Goes up with every/);
  expect(schemas.ErrorCode?.description).toContain("- `HISTORY_TRIMMED`: Events after the given cursor");
});

test("a stream takes its cursor from the query or a header, and a ticket for the token", () => {
  const stream = operations.find(({ operationId }) => operationId === "messages_inbox");
  expect(stream?.parameters?.map(({ in: where, name }) => `${where} ${name}`)).toEqual([
    "path agent_id",
    "query last_event_id",
    "header Last-Event-ID",
    "query from",
    "query mode",
    "query prefetch",
  ]);
  expect(stream?.security).toEqual([{ bearer: [] }, { ticket: [] }]);
  expect(stream?.responses["200"]).toMatchObject({
    content: { "text/event-stream": { schema: { $ref: "#/components/schemas/Message" } } },
  });
});

test("what JSON Schema cannot say of an input is said in its text", () => {
  const { schemas = {} } = document.components;
  expect(schemas.SendInput?.description).toMatch(/`target` or to a `capability`, which exclude each other/);
  expect(schemas.RequestInput?.description).toMatch(/one of the two must be given, and not both/);
  const send = operations.find(({ operationId }) => operationId === "messages_send");
  expect(send?.description).toContain("Not with both, which is 422");
  expect(send?.responses).toHaveProperty("422");
  const { anyOf = [] } = schemas.SendInput?.properties?.capability ?? {};
  expect(anyOf).toEqual([
    { $ref: "#/components/schemas/Capability" },
    expect.objectContaining({ type: "array", items: { $ref: "#/components/schemas/Capability" } }),
  ]);
});

test("what is all in its path has no body, and no answer to a wrong one", () => {
  const heartbeat = operations.find(({ operationId }) => operationId === "agents_heartbeat");
  expect(heartbeat?.requestBody).toBeUndefined();
  expect(Object.keys(heartbeat?.responses ?? {})).toEqual([
    "200",
    "400",
    "401",
    "403",
    "404",
    "422",
    "429",
    "500",
    "503",
  ]);
});

test("a PUT has what names it in the path, and the rest in the body", () => {
  const set = document.paths["/api/v1/state/{namespace}/{key}"]?.put;
  expect(set?.parameters?.map(({ in: where, name }) => `${where} ${name}`)).toEqual(["path namespace", "path key"]);
  expect(set?.requestBody?.required).toBe(true);
  const body = set?.requestBody?.content["application/json"]?.schema;
  expect(Object.keys(body?.properties ?? {})).toEqual(["value", "if_version", "ttl_ms", "source"]);
  expect(body?.required).toEqual(["value"]);
  const deleted = document.paths["/api/v1/state/{namespace}/{key}"]?.delete;
  expect(deleted?.parameters?.map(({ in: where, name }) => `${where} ${name}`)).toContain("query if_version");
});

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);

function contentOf(response: OperationObject["responses"][string] | undefined): Record<string, MediaType> {
  return response && "content" in response ? (response.content ?? {}) : {};
}

function examplesOf(content: Record<string, MediaType>): unknown[] {
  return Object.values(content).flatMap(({ examples = {} }) => Object.values(examples));
}
