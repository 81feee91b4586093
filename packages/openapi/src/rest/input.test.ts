import { expect, test } from "vitest";
import { z } from "zod";
import { readInput } from "./input.ts";
import type { Operation } from "./operations.ts";

function operation(shape: z.core.$ZodLooseShape, more: Partial<Operation> = {}): Operation {
  const input = z.object(shape);
  return {
    procedure: "it",
    type: "subscription",
    method: "GET",
    path: "/",
    meta: { method: "GET", path: "/" },
    pathParameters: [],
    input,
    schema: input,
    isInputOptional: false,
    output: undefined,
    ...more,
  };
}

function read(of: Operation, query: string, lastEventId?: string, parameters: [string, string][] = []) {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const request = new Request(`http://localhost/${query}`, { headers });
  return readInput({ operation: of, parameters: new Map(parameters) }, request, 1000);
}

const resumable = operation({ lastEventId: z.string().nullish(), type: z.string().optional() });

test("the header Last-Event-ID is the field lastEventId", async () => {
  expect(await read(resumable, "?type=a", "7.1")).toEqual({ type: "a", lastEventId: "7.1" });
});

test("last_event_id in the query is the field lastEventId, and the header goes first", async () => {
  expect(await read(resumable, "?last_event_id=7.1")).toEqual({ lastEventId: "7.1" });
  expect(await read(resumable, "?last_event_id=7.1&lastEventId=8.1")).toEqual({ lastEventId: "7.1" });
  expect(await read(resumable, "?last_event_id=7.1&lastEventId=8.1", "9.1")).toEqual({ lastEventId: "9.1" });
  expect(await read(resumable, "?lastEventId=8.1")).toEqual({ lastEventId: "8.1" });
});

test("an empty id is none", async () => {
  expect(await read(resumable, "", "")).toEqual({});
  expect(await read(resumable, "?last_event_id=7.1", "")).toEqual({ lastEventId: "7.1" });
  expect(await read(resumable, "?last_event_id=")).toEqual({});
});

test("an id is decoded by its schema, as any field", async () => {
  const numbered = operation({ lastEventId: z.number().optional() });
  expect(await read(numbered, "", "7")).toEqual({ lastEventId: 7 });
});

test("an id beyond ASCII is the text that an EventSource was sent", async () => {
  const bytes = String.fromCharCode(...new TextEncoder().encode("€7"));
  expect(await read(resumable, "", bytes)).toEqual({ lastEventId: "€7" });
});

test("last_event_id is a field like any other where the input has no lastEventId, or one of both", async () => {
  expect(await read(operation({ a: z.string() }), "?last_event_id=7", "8")).toEqual({ last_event_id: "7" });
  const both = operation({ lastEventId: z.string(), last_event_id: z.number() });
  expect(await read(both, "?last_event_id=7")).toEqual({ lastEventId: "7", last_event_id: 7 });
});

test("only subscriptions resume", async () => {
  const query = operation({ lastEventId: z.string().optional() }, { type: "query" });
  expect(await read(query, "?last_event_id=7", "8")).toEqual({ last_event_id: "7" });
});

test("a path parameter is decoded by its own schema, also where the input is a union", async () => {
  const kinds = [
    z.object({ id: z.bigint(), kind: z.literal("a"), n: z.number() }),
    z.object({ id: z.bigint(), kind: z.literal("b"), n: z.boolean() }),
  ] as const;
  const schema = z.discriminatedUnion("kind", kinds);
  const union = operation({ id: z.bigint(), kind: z.string(), n: z.unknown() }, { schema });
  expect(await read(union, "?kind=b&n=true&id=9", undefined, [["id", "5"]])).toEqual({ id: 5n, kind: "b", n: true });
});

test("a path parameter is text also where the rest is JSON", async () => {
  const put = operation({ id: z.number(), at: z.date(), n: z.number() }, { type: "mutation", method: "PUT" });
  const body = '{"id":9,"at":"2026-02-28","n":"5"}';
  const request = new Request("http://localhost/", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body,
  });
  const input = await readInput({ operation: put, parameters: new Map([["id", "5"]]) }, request, 1000);
  expect(input).toEqual({ id: 5, at: new Date("2026-02-28"), n: "5" });
});

test("where the path says all, a body is not read", async () => {
  const shape = { id: z.string() };
  const post = operation(shape, { method: "POST", path: "/{id}", pathParameters: ["id"], type: "mutation" });
  const more = operation(
    { ...shape, text: z.string().optional() },
    { method: "POST", path: "/{id}", pathParameters: ["id"], type: "mutation" },
  );
  const send = (of: Operation) => {
    const request = new Request("http://localhost/a", {
      method: "POST",
      body: "{",
      headers: { "content-type": "x/y" },
    });
    return readInput({ operation: of, parameters: new Map([["id", "a"]]) }, request, 1000);
  };
  expect(await send(post)).toEqual({ id: "a" });
  await expect(send(more)).rejects.toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE" });
});

test("without input nothing is read", async () => {
  const none = operation({}, { input: undefined, schema: undefined });
  expect(await read(none, "?a=%zz")).toBeUndefined();
});
