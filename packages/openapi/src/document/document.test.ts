import { validate } from "@apidevtools/swagger-parser";
import { initTRPC, lazy } from "@trpc/server";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { z } from "zod";
import type { OpenApiMeta } from "../rest/operations.ts";
import {
  createOpenApiDocument,
  type MediaType,
  type OpenApiDocument,
  type OpenApiDocumentOptions,
  type OperationObject,
} from "./document.ts";

const t = initTRPC.meta<OpenApiMeta>().create();
const info = { title: "Zoo", version: "1.0.0" };

/** What an output is, is not looked at here. */
const nothing = (): never => {
  throw new Error("not called");
};

async function describe(
  procedures: Parameters<typeof t.router>[0],
  options: Partial<OpenApiDocumentOptions> = {},
): Promise<OpenApiDocument> {
  const document = await createOpenApiDocument(t.router(procedures), { ...info, ...options });
  await validate(JSON.parse(JSON.stringify(document)));
  return document;
}

function query(path: `/${string}`, input: z.ZodType, output?: z.ZodType) {
  return at("GET", path, input, output).query(nothing);
}

function mutation(path: `/${string}`, input: z.ZodType, output?: z.ZodType) {
  return at("POST", path, input, output).mutation(nothing);
}

type Method = NonNullable<OpenApiMeta["openapi"]>["method"];

function at(method: Method, path: `/${string}`, input: z.ZodType, output: z.ZodType = z.unknown()) {
  return t.procedure.meta({ openapi: { method, path } }).input(input).output(output);
}

const schemaOf = (document: OpenApiDocument, name: string) => document.components.schemas?.[name];

test("a router without anything else is a whole document", async () => {
  const router = t.router({
    animals: t.router({ get: query("/animals/{id}", z.object({ id: z.string() }), z.object({ name: z.string() })) }),
    hidden: t.procedure.query(nothing),
  });
  expect(await createOpenApiDocument(router, info)).toEqual({
    openapi: "3.1.1",
    info,
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    paths: {
      "/animals/{id}": {
        get: {
          operationId: "animals_get",
          parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
          responses: {
            200: {
              description: "Success.",
              content: {
                "application/json": {
                  schema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
                },
              },
            },
            400: { $ref: "#/components/responses/BadRequest" },
            401: { $ref: "#/components/responses/Unauthorized" },
            422: { $ref: "#/components/responses/UnprocessableContent" },
            500: { $ref: "#/components/responses/InternalServerError" },
          },
        },
      },
    },
    components: {
      schemas: { Error: { type: "object", properties: { error: expect.anything() }, required: ["error"] } },
      responses: expect.objectContaining({
        Unauthorized: { description: expect.any(String), content: { "application/json": expect.anything() } },
      }),
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
  });
});

test("fields are in the path, then in the query of GET and DELETE and in the body of the others", async () => {
  const input = z.object({ id: z.string(), name: z.string(), age: z.int().optional() });
  const methods = ["GET", "DELETE", "POST", "PUT", "PATCH"] as const;
  const procedures = methods.map((method) => [
    method,
    t.procedure
      .meta({ openapi: { method, path: "/animals/{id}" } })
      .input(input)
      .mutation(nothing),
  ]);
  const item = (await describe(Object.fromEntries(procedures))).paths["/animals/{id}"] ?? {};
  for (const { parameters, requestBody } of [item.get, item.delete].map((operation) => operation ?? never())) {
    expect(parameters?.map(({ name, in: where, required }) => [where, name, required])).toEqual([
      ["path", "id", true],
      ["query", "name", true],
      ["query", "age", undefined],
    ]);
    expect(requestBody).toBeUndefined();
  }
  for (const { parameters, requestBody, responses } of [item.post, item.put, item.patch].map((one) => one ?? never())) {
    expect(parameters?.map(({ name }) => name)).toEqual(["id"]);
    expect(requestBody).toEqual({
      required: true,
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: { name: { type: "string" }, age: { type: "integer" } },
            required: ["name"],
          },
        },
      },
    });
    expect(Object.keys(responses)).toEqual(["200", "400", "401", "413", "415", "422", "500"]);
  }
});

test("parameters say how lists and objects are written, and keep defaults, texts and bounds", async () => {
  const document = await describe({
    list: query(
      "/animals",
      z.object({
        tags: z.array(z.string()).optional(),
        filter: z.record(z.string(), z.string()).optional(),
        limit: z.number().int().min(1).max(100).default(10).describe("How many."),
        since: z.date().nullish(),
        kind: z.union([z.literal("cat"), z.number()]),
      }),
    ),
  });
  expect(document.paths["/animals"]?.get?.parameters).toEqual([
    { name: "tags", in: "query", style: "form", explode: true, schema: { type: "array", items: { type: "string" } } },
    {
      name: "filter",
      in: "query",
      style: "deepObject",
      explode: true,
      schema: { type: "object", additionalProperties: { type: "string" } },
    },
    {
      name: "limit",
      in: "query",
      description: "How many.",
      schema: { type: "integer", minimum: 1, maximum: 100, default: 10 },
    },
    { name: "since", in: "query", schema: { type: "string", format: "date-time" } },
    {
      name: "kind",
      in: "query",
      required: true,
      schema: { anyOf: [{ type: "string", const: "cat" }, { type: "number" }] },
    },
  ]);
});

test("what travels is described, whatever it is in the program", async () => {
  const everything = z.object({
    date: z.date(),
    bigint: z.bigint(),
    set: z.set(z.date()),
    map: z.map(z.string(), z.int()),
    any: z.json(),
    record: z.record(z.string(), z.json()),
    tuple: z.tuple([z.string(), z.number()]),
    text: z.string().transform((text) => text.length),
    piped: z.string().transform(Number).pipe(z.number()),
    nullable: z.union([z.string(), z.array(z.string())]).nullable(),
    strict: z.strictObject({ a: z.literal(1) }),
  });
  const document = await describe({ all: mutation("/all", everything, everything) });
  const { requestBody, responses } = document.paths["/all"]?.post ?? never();
  const common = {
    date: { type: "string", format: "date-time" },
    bigint: { type: "string", pattern: "^-?\\d+$" },
    set: { type: "array", uniqueItems: true, items: { type: "string", format: "date-time" } },
    map: { type: "object", additionalProperties: { type: "integer" } },
    any: {},
    record: { type: "object", additionalProperties: {} },
    tuple: {
      type: "array",
      prefixItems: [{ type: "string" }, { type: "number" }],
      items: false,
      minItems: 2,
      maxItems: 2,
    },
    nullable: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }, { type: "null" }] },
    strict: {
      type: "object",
      properties: { a: { type: "number", const: 1 } },
      required: ["a"],
      additionalProperties: false,
    },
  };
  expect(requestBody?.content["application/json"]?.schema).toMatchObject({
    properties: { ...common, text: { type: "string" }, piped: { type: "string" } },
  });
  expect(responses["200"]).toMatchObject({
    content: { "application/json": { schema: { properties: { ...common, text: {}, piped: { type: "number" } } } } },
  });
  // Open, so that a field more breaks no client.
  const [media] = Object.values(contentOf(responses["200"]));
  expect(media?.schema).not.toHaveProperty("additionalProperties");
});

test("what cannot travel is refused, with the name of the operation", async () => {
  const procedures = { animals: t.router({ feed: mutation("/feed", z.object({ a: z.symbol() })) }) };
  await expect(describe(procedures)).rejects.toThrow("animals_feed cannot be described: Symbols cannot be represented");
});

test("a schema with a name is a component, with its texts", async () => {
  const name = z.string().min(1);
  const animal = z.object({ name, owner: z.object({ name: name.optional() }), note: z.string().describe("Mine.") });
  const document = await describe(
    {
      get: query("/animals/{name}", z.object({ name }), animal),
      list: query("/animals", z.object({}), z.array(animal)),
    },
    {
      schemas: { Name: name, Animal: animal, Unused: z.string() },
      texts: {
        Name: { description: "A name." },
        Animal: {
          description: "An animal.",
          properties: {
            owner: { properties: { name: { description: "Its owner." } } },
            note: { description: "Not mine." },
          },
        },
      },
    },
  );
  expect(document.components.schemas).toEqual({
    Error: expect.anything(),
    Name: { description: "A name.", type: "string", minLength: 1 },
    Animal: {
      description: "An animal.",
      type: "object",
      properties: {
        name: { $ref: "#/components/schemas/Name" },
        owner: {
          type: "object",
          properties: { name: { description: "Its owner.", $ref: "#/components/schemas/Name" } },
        },
        note: { type: "string", description: "Mine." },
      },
      required: ["name", "owner", "note"],
    },
  });
  expect(document.paths["/animals/{name}"]?.get?.parameters).toEqual([
    {
      name: "name",
      in: "path",
      required: true,
      description: "A name.",
      schema: { $ref: "#/components/schemas/Name" },
    },
  ]);
});

test("where input and output of a schema differ there are two components, also of what refers to it", async () => {
  const tag = z.object({ color: z.string().default("red") }).meta({ id: "Tag" });
  const animal = z.object({ tag });
  const same = z.object({ name: z.string() });
  const both = z.object({ animal, same });
  const options = { schemas: { Animal: animal, Same: same } };
  const document = await describe({ put: mutation("/animals", both, both) }, options);
  expect(Object.keys(document.components.schemas ?? {})).toEqual([
    "Animal",
    "AnimalInput",
    "Error",
    "Same",
    "Tag",
    "TagInput",
  ]);
  expect(schemaOf(document, "TagInput")?.required).toBeUndefined();
  expect(schemaOf(document, "Tag")?.required).toEqual(["color"]);
  expect(schemaOf(document, "AnimalInput")?.properties).toEqual({ tag: { $ref: "#/components/schemas/TagInput" } });

  const onlySent = await describe({ put: mutation("/animals", both, same) }, options);
  expect(Object.keys(onlySent.components.schemas ?? {})).toEqual(["Animal", "Error", "Same", "Tag"]);

  const taken = { schemas: { ...options.schemas, AnimalInput: z.object({ other: z.string() }) } };
  const other = z.object({ both, other: taken.schemas.AnimalInput });
  const clash = describe({ put: mutation("/animals", other, other) }, taken);
  await expect(clash).rejects.toThrow("Animal differs as input and output, and AnimalInput is another schema");
});

test("schemas that hold themselves become components, with or without a name", async () => {
  const named = z.object({
    name: z.string(),
    get children() {
      return z.array(named);
    },
  });
  const unnamed = z.object({
    get next() {
      return unnamed.optional();
    },
  });
  const inSet = z.object({
    get friends() {
      return z.set(inSet);
    },
  });
  const document = await describe(
    { get: query("/", z.object({}), z.object({ named, unnamed, inSet })), root: query("/root", z.object({}), unnamed) },
    { schemas: { Node: named, Friend: inSet } },
  );
  expect(schemaOf(document, "Node")?.properties?.children).toEqual({
    type: "array",
    items: { $ref: "#/components/schemas/Node" },
  });
  expect(schemaOf(document, "Friend")?.properties?.friends).toMatchObject({
    items: { $ref: "#/components/schemas/Friend" },
  });
  const root = document.paths["/root"]?.get?.responses["200"];
  expect(root).toMatchObject({
    content: { "application/json": { schema: { $ref: "#/components/schemas/RootAnswer" } } },
  });
  const isValid = new Ajv2020({ strict: false }).compile({
    $ref: "#/components/schemas/RootAnswer",
    components: document.components,
  });
  expect([isValid({ next: { next: {} } }), isValid({ next: { next: 1 } })]).toEqual([true, false]);
});

test("a discriminated union has a discriminator where its options are components", async () => {
  const cat = z.object({ kind: z.literal("cat") });
  const dog = z.object({ kind: z.literal(["dog", "wolf"]) });
  const animal = z.discriminatedUnion("kind", [cat, dog]);
  const procedures = { get: query("/", z.object({}), animal) };
  const document = await describe(procedures, { schemas: { Cat: cat, Dog: dog, Animal: animal } });
  expect(schemaOf(document, "Animal")).toEqual({
    oneOf: [{ $ref: "#/components/schemas/Cat" }, { $ref: "#/components/schemas/Dog" }],
    discriminator: {
      propertyName: "kind",
      mapping: {
        cat: "#/components/schemas/Cat",
        dog: "#/components/schemas/Dog",
        wolf: "#/components/schemas/Dog",
      },
    },
  });
  const inline = await describe(procedures, { schemas: { Cat: cat, Animal: animal } });
  expect(schemaOf(inline, "Animal")).toMatchObject({ oneOf: [{}, { type: "object" }] });
  expect(schemaOf(inline, "Animal")).not.toHaveProperty("discriminator");
});

test("a union as the body is said as it is, and its fields are parameters elsewhere", async () => {
  const input = z.union([z.object({ a: z.string() }), z.object({ a: z.number(), b: z.string() })]);
  const document = await describe({
    send: mutation("/send", input),
    find: query("/find", input),
  });
  expect(document.paths["/send"]?.post?.requestBody?.content["application/json"]?.schema.anyOf).toHaveLength(2);
  expect(document.paths["/find"]?.get?.parameters?.map(({ name, required }) => [name, required])).toEqual([
    ["a", true],
    ["b", undefined],
  ]);
});

test("an input that may be left out makes nothing required", async () => {
  const input = z.object({ a: z.string() }).optional();
  const document = await describe({
    send: mutation("/send", input),
    find: query("/find", input),
    all: mutation("/all", z.object({ a: z.string().optional() })),
    put: mutation("/put/{id}", z.object({ id: z.string(), a: z.string() }).optional()),
  });
  // Its path is an input, so that the rest is needed.
  expect(document.paths["/put/{id}"]?.post?.requestBody?.required).toBe(true);
  expect(document.paths["/send"]?.post?.requestBody?.required).toBeUndefined();
  expect(document.paths["/all"]?.post?.requestBody?.required).toBeUndefined();
  expect(document.paths["/find"]?.get?.parameters?.[0]?.required).toBeUndefined();
});

test("no output is any JSON, and an output of nothing is 204", async () => {
  const meta = (path: `/${string}`): OpenApiMeta => ({ openapi: { method: "POST", path } });
  const document = await describe({
    any: t.procedure.meta(meta("/any")).mutation(nothing),
    none: t.procedure.meta(meta("/none")).output(z.void()).mutation(nothing),
  });
  expect(document.paths["/any"]?.post?.responses["200"]).toMatchObject({
    content: { "application/json": { schema: {} } },
  });
  const { responses } = document.paths["/none"]?.post ?? never();
  expect(Object.keys(responses)).toEqual(["204", "401", "500"]);
  expect(responses["204"]).not.toHaveProperty("content");
});

test("a subscription is an event stream that resumes by query or header", async () => {
  const document = await describe(
    {
      follow: t.procedure
        .meta({ openapi: { method: "GET", path: "/follow/{id}" } })
        .input(z.object({ id: z.string(), lastEventId: z.string().nullish() }))
        .subscription(async function* () {
          yield 1;
        }),
    },
    { notes: { follow: { stream: z.object({ n: z.number() }), security: [{ bearer: [] }, {}] } } },
  );
  const { parameters, responses, security } = document.paths["/follow/{id}"]?.get ?? never();
  expect(parameters?.map(({ in: where, name, schema }) => [where, name, schema])).toEqual([
    ["path", "id", { type: "string" }],
    ["query", "last_event_id", { type: "string" }],
    ["header", "Last-Event-ID", { type: "string" }],
  ]);
  expect(responses["200"]).toMatchObject({
    content: { "text/event-stream": { schema: { properties: { n: { type: "number" } } } } },
  });
  expect(responses).toHaveProperty("204");
  expect(security).toEqual([{ bearer: [] }, {}]);
});

test("what the meta says is in the document", async () => {
  const document = await describe({
    send: t.procedure
      .meta({
        openapi: {
          method: "POST",
          path: "/send",
          operationId: "sendIt",
          summary: "Send",
          description: "It is sent.",
          tags: ["post"],
          protect: false,
          deprecated: true,
          contentTypes: ["application/x-www-form-urlencoded"],
          requestHeaders: z.object({ "x-id": z.string().describe("An id.") }),
          responseHeaders: z.object({ "x-left": z.int().optional() }),
          successDescription: "Sent.",
          errorResponses: { 404: "There is no such box.", 409: "Sent before." },
        },
      })
      .input(z.object({ a: z.string() }))
      .mutation(nothing),
  });
  const operation = document.paths["/send"]?.post ?? never();
  expect(operation).toMatchObject({
    operationId: "sendIt",
    summary: "Send",
    description: "It is sent.",
    tags: ["post"],
    deprecated: true,
    security: [],
    parameters: [{ name: "x-id", in: "header", required: true, description: "An id.", schema: { type: "string" } }],
    responses: {
      200: { description: "Sent.", headers: { "x-left": { schema: { type: "integer" } } } },
      404: { description: "There is no such box." },
      409: { description: "Sent before." },
    },
  });
  expect(Object.keys(operation.requestBody?.content ?? {})).toEqual([
    "application/json",
    "application/x-www-form-urlencoded",
  ]);
  expect(operation.responses).not.toHaveProperty("401");
});

test("what is served beside the router stands beside it, with errors of its own", async () => {
  const document = await describe(
    { get: query("/animals", z.object({})) },
    {
      basePath: "/api/",
      errors: {
        Error: { schema: z.object({ error: z.string() }) },
        Other: { schema: z.object({ fault: z.string() }), statuses: { 404: { description: "Nowhere." } } },
      },
      commonErrors: ({ type }) => (type === "query" ? [503] : []),
      operations: [
        {
          method: "PUT",
          path: "/files/{name}",
          operationId: "put_file",
          input: z.object({ name: z.string(), text: z.string() }),
          answers: { 201: { description: "It is there." } },
          errors: [404],
          errorBody: "Other",
          examples: { request: { short: { value: { text: "a" } } } },
        },
      ],
      webhooks: {
        born: {
          method: "POST",
          path: "/",
          operationId: "on_born",
          input: z.object({ name: z.string() }),
          answers: { 200: { description: "Noted." } },
          errors: [],
        },
      },
    },
  );
  expect(Object.keys(document.paths)).toEqual(["/api/animals", "/files/{name}"]);
  expect(document.paths["/api/animals"]?.get?.responses["503"]).toEqual({
    $ref: "#/components/responses/ServiceUnavailable",
  });
  expect(document.paths["/files/{name}"]?.put).toMatchObject({
    requestBody: { content: { "application/json": { examples: { short: { value: { text: "a" } } } } } },
    responses: { 201: { description: "It is there." }, 404: { $ref: "#/components/responses/OtherNotFound" } },
  });
  expect(document.components.responses?.OtherNotFound).toMatchObject({
    description: "Nowhere.",
    content: { "application/json": { schema: { $ref: "#/components/schemas/Other" } } },
  });
  expect(document.webhooks?.born?.post?.operationId).toBe("on_born");
});

test("routers that are loaded lazily are described", async () => {
  const animals = t.router({ get: query("/animals", z.object({})) });
  const document = await describe({ animals: lazy(async () => animals) });
  expect(document.paths["/animals"]?.get?.operationId).toBe("animals_get");
});

test("an id that is used twice, and a note for nobody, are refused", async () => {
  const twice = { a: t.router({ b: query("/1", z.object({})) }), a_b: query("/2", z.object({})) };
  await expect(describe(twice)).rejects.toThrow("The operation id a_b is used twice.");
  const notes = { "animals.got": {} };
  await expect(describe({}, { notes })).rejects.toThrow("There is a note for animals.got");
});

function contentOf(response: OperationObject["responses"][string] | undefined): Record<string, MediaType> {
  return response && "content" in response ? (response.content ?? {}) : {};
}

function never(): never {
  throw new Error("The document lacks what is looked at.");
}
