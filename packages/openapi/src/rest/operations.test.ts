import { initTRPC, lazy } from "@trpc/server";
import { expect, test } from "vitest";
import { z } from "zod";
import { listOperations, type OpenApiMeta, type OpenApiOperationMeta, readOperations } from "./operations.ts";

const t = initTRPC.meta<OpenApiMeta>().create();

function at(method: OpenApiOperationMeta["method"], path: `/${string}`, more?: Partial<OpenApiOperationMeta>) {
  return t.procedure.meta({ openapi: { method, path, ...more } });
}

test("procedures with openapi meta are listed in the router's order, with what they take and give", async () => {
  const input = z.object({ id: z.string(), name: z.string().optional() });
  const output = z.object({ name: z.string() });
  const router = t.router({
    users: t.router({
      rename: at("PATCH", "/users/{id}", { tags: ["users"] })
        .input(input)
        .output(output)
        .mutation(() => ({ name: "" })),
      hidden: at("GET", "/hidden", { enabled: false }).query(() => 1),
      internal: t.procedure.query(() => 1),
    }),
    ping: at("GET", "/ping").query(() => "pong"),
    ticks: at("GET", "/ticks").subscription(async function* () {}),
  });

  const [rename, ping, ticks, ...others] = await listOperations(router);

  expect(others).toEqual([]);
  expect(rename).toMatchObject({
    procedure: "users.rename",
    type: "mutation",
    method: "PATCH",
    path: "/users/{id}",
    meta: { tags: ["users"] },
    pathParameters: ["id"],
    isInputOptional: false,
  });
  expect(rename?.input).toBe(input);
  expect(rename?.output).toBe(output);
  expect(ping).toMatchObject({ procedure: "ping", type: "query", pathParameters: [], input: undefined });
  expect(ticks).toMatchObject({ procedure: "ticks", type: "subscription" });
});

test("lazy routers are loaded, also those within lazy routers", async () => {
  const innermost = t.router({ pong: at("GET", "/pong").query(() => 1) });
  const inner = t.router({ deep: lazy(async () => innermost), here: at("GET", "/here").query(() => 1) });
  const router = t.router({ now: at("GET", "/now").query(() => 1), later: lazy(async () => ({ inner })) });

  expect(readOperations(router).map(({ procedure }) => procedure)).toEqual(["now"]);
  const operations = await listOperations(router);
  expect(operations.map(({ procedure }) => procedure)).toEqual(["now", "later.here", "later.deep.pong"]);
  expect(await listOperations(router)).toHaveLength(3);
});

test("several inputs are merged, and a field that two of them have must satisfy both", () => {
  const router = t.router({
    both: at("GET", "/both/{id}")
      .input(z.object({ id: z.string(), tenant: z.string() }))
      .input(z.object({ id: z.string().min(3), limit: z.number().optional() }))
      .query(() => 1),
  });
  const [both] = readOperations(router);
  expect(Object.keys(both?.input?.shape ?? {})).toEqual(["id", "tenant", "limit"]);
  expect(both?.input?.safeParse({ id: "ab", tenant: "t" }).success).toBe(false);
  expect(both?.input?.safeParse({ id: "abc", tenant: "t" }).success).toBe(true);
});

test("an object is found behind optionals, defaults, pipes, preprocesses and lazies", () => {
  const object = z.object({ id: z.string() });
  const wrapped = {
    optional: object.optional(),
    default: object.default({ id: "a" }),
    prefault: object.prefault({ id: "a" }),
    nullable: object.nullable(),
    readonly: object.readonly(),
    catch: object.catch({ id: "a" }),
    refined: object.refine(() => true),
    transform: object.transform(({ id }) => id),
    preprocess: z.preprocess((value) => value, object),
    lazy: z.lazy(() => object),
    nonoptional: z.nonoptional(object.optional()),
  };
  const optional = ["optional", "default", "prefault"];
  for (const [name, schema] of Object.entries(wrapped)) {
    const [operation] = readOperations(
      t.router({
        it: at("GET", "/{id}")
          .input(schema)
          .query(() => 1),
      }),
    );
    expect(Object.keys(operation?.input?.shape ?? {}), name).toEqual(["id"]);
    expect(operation?.isInputOptional, name).toBe(optional.includes(name));
  }
});

test("a union of objects takes the fields of all options, and an intersection those of both sides", () => {
  const union = z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("circle"), radius: z.number() }),
    z.strictObject({ kind: z.literal("square"), side: z.number() }),
  ]);
  const both = z.object({ a: z.string() }).and(z.object({ b: z.string() }));
  const router = t.router({
    union: at("POST", "/union")
      .input(union)
      .mutation(() => 1),
    both: at("POST", "/both")
      .input(both)
      .mutation(() => 1),
  });
  const [first, second] = readOperations(router);
  expect(first?.input?.safeParse({ kind: "square", side: 1 }).success).toBe(true);
  expect(first?.input?.safeParse({ kind: "oval" }).success).toBe(false);
  expect(first?.input?.safeParse({ kind: "square", other: 1 }).success).toBe(false);
  expect(Object.keys(second?.input?.shape ?? {})).toEqual(["a", "b"]);
  expect(first?.schema).toBe(union);
});

test("an input of z.void() is no input", () => {
  const router = t.router({
    it: at("GET", "/it")
      .input(z.void())
      .query(() => 1),
  });
  expect(readOperations(router)[0]).toMatchObject({ input: undefined, isInputOptional: true });
});

const faults: [string, () => Parameters<typeof readOperations>[0], string][] = [
  [
    "two procedures at one place",
    () => t.router({ one: at("GET", "/a").query(() => 1), two: at("GET", "/a").query(() => 1) }),
    "The procedure two is at GET /a, where one is already.",
  ],
  [
    "two procedures at places that only the names of parameters tell apart",
    () =>
      t.router({
        one: at("GET", "/a/{b}")
          .input(z.object({ b: z.string() }))
          .query(() => 1),
        two: at("GET", "/a/{c}/")
          .input(z.object({ c: z.string() }))
          .query(() => 1),
      }),
    "The procedure two is at GET /a/{c}/, where one is already.",
  ],
  [
    "a path parameter that the input lacks",
    () =>
      t.router({
        it: at("GET", "/a/{id}")
          .input(z.object({ name: z.string() }))
          .query(() => 1),
      }),
    "The procedure it has {id} in the path /a/{id}, but its input has no field of that name.",
  ],
  [
    "a path parameter without any input",
    () => t.router({ it: at("GET", "/a/{toString}").query(() => 1) }),
    "The procedure it has {toString} in the path /a/{toString}, but its input has no field of that name.",
  ],
  [
    "a path parameter that is there twice",
    () =>
      t.router({
        it: at("GET", "/{id}/{id}")
          .input(z.object({ id: z.string() }))
          .query(() => 1),
      }),
    "The procedure it has {id} twice in the path /{id}/{id}.",
  ],
  [
    "an input that is no object",
    () =>
      t.router({
        it: at("POST", "/a")
          .input(z.string().optional())
          .mutation(() => 1),
      }),
    "The procedure it has an input that is no object, so that its fields have no names on the wire.",
  ],
  [
    "an input that is an object only sometimes",
    () =>
      t.router({
        it: at("POST", "/a")
          .input(z.union([z.object({}), z.string()]))
          .mutation(() => 1),
      }),
    "The procedure it has an input that is no object, so that its fields have no names on the wire.",
  ],
  [
    "an input that is no zod schema",
    () =>
      t.router({
        it: at("POST", "/a")
          .input((value: unknown) => String(value))
          .mutation(() => 1),
      }),
    "The procedure it has an input that is no zod 4 schema.",
  ],
  [
    "a subscription that is not served by GET",
    () => t.router({ it: at("POST", "/a").subscription(async function* () {}) }),
    "The procedure it is a subscription, which is served by GET and not by POST.",
  ],
  [
    "a path with an open brace",
    () => t.router({ it: at("GET", "/a/{id").query(() => 1) }),
    "The procedure it has the path /a/{id, which is none: write one like /users/{id}.",
  ],
  [
    "a path with two parameters in one segment",
    () =>
      t.router({
        it: at("GET", "/{a}-{b}")
          .input(z.object({ a: z.string(), b: z.string() }))
          .query(() => 1),
      }),
    "The procedure it has two parameters between two slashes of the path /{a}-{b}, which cannot be told apart.",
  ],
  [
    "a path with a query",
    () => t.router({ it: at("GET", "/a?b=c").query(() => 1) }),
    "The procedure it has the path /a?b=c, which is none: write one like /users/{id}.",
  ],
];

test.each(faults)("%s is refused", async (_name, router, message) => {
  expect(() => readOperations(router())).toThrow(message);
  await expect(listOperations(router())).rejects.toThrow(message);
});

test("a method that a plain JavaScript router makes up is refused", () => {
  const openapi: OpenApiOperationMeta = JSON.parse('{ "method": "get", "path": "/a" }');
  const router = t.router({ it: t.procedure.meta({ openapi }).query(() => 1) });
  expect(() => readOperations(router)).toThrow("has the method get, which is none of GET, POST, PUT, PATCH, DELETE");
});
