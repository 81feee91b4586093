/** What the README says of trpc-to-openapi, held against it: the same request to the same router, through both. */
import { initTRPC } from "@trpc/server";
import { createOpenApiFetchHandler, type OpenApiMeta } from "trpc-to-openapi";
import { expect, test } from "vitest";
import { z } from "zod";
import { createOpenApiHandler } from "./handler.ts";

const t = initTRPC.meta<OpenApiMeta>().create();
let seen: AbortSignal | undefined;

/** Made anew for each test, since trpc-to-openapi changes it. It wants an output everywhere. */
function makeRouter() {
  const input = z.object({ id: z.string(), n: z.number().optional() });
  const at = (method: "GET" | "POST", path: `/${string}`) => t.procedure.meta({ openapi: { method, path } });
  return t.router({
    get: at("GET", "/users/{id}")
      .input(input)
      .output(z.unknown())
      .query(({ input, signal }) => {
        seen = signal;
        return input;
      }),
    me: at("GET", "/users/me")
      .output(z.unknown())
      .query(() => "me"),
    add: at("POST", "/users/{id}")
      .input(input)
      .output(z.unknown())
      .mutation(({ input }) => input),
    fails: at("GET", "/fails")
      .output(z.unknown())
      .query(() => {
        throw new Error("password=hunter2");
      }),
  });
}

async function both(method: string, path: string, init: RequestInit = {}) {
  const request = () => new Request(`http://localhost${path}`, { method, ...init });
  const router = makeRouter();
  const ours = await createOpenApiHandler({ router })(request());
  const ourSignal = seen;
  seen = undefined;
  const theirs = await createOpenApiFetchHandler({ req: request(), endpoint: "/none", router });
  return { ours: await answerOf(ours), theirs: await answerOf(theirs), signals: [ourSignal, seen], router };
}

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json" && text !== "";
  return [response.status, isJson ? JSON.parse(text) : text];
}

test("the router's schemas: theirs take texts for numbers afterwards, over tRPC too", async () => {
  const { ours, theirs, router } = await both("GET", "/users/a?n=5");
  expect([ours, theirs]).toEqual([
    [200, { id: "a", n: 5 }],
    [200, { id: "a", n: 5 }],
  ]);
  const again: unknown = JSON.parse('{"id":"a","n":"5"}');
  const call = router.createCaller({}).get;
  expect(await Reflect.apply(call, undefined, [again])).toEqual({ id: "a", n: 5 });

  const untouched = makeRouter();
  await createOpenApiHandler({ router: untouched })(new Request("http://localhost/users/a?n=5"));
  await expect(Reflect.apply(untouched.createCaller({}).get, undefined, [again])).rejects.toThrow("expected number");
});

test("path parameters: theirs stay percent-encoded", async () => {
  const { ours, theirs } = await both("GET", "/users/a%2Fb");
  expect([ours, theirs]).toEqual([
    [200, { id: "a/b" }],
    [200, { id: "a%2Fb" }],
  ]);
});

test("the order of paths: theirs take the first that matches", async () => {
  const { ours, theirs } = await both("GET", "/users/me");
  expect([ours, theirs]).toEqual([
    [200, "me"],
    [200, { id: "me" }],
  ]);
});

test("objects in the query: theirs refuses such a router", async () => {
  const router = t.router({
    find: t.procedure
      .meta({ openapi: { method: "GET", path: "/users" } })
      .input(z.object({ filter: z.object({ a: z.string() }) }))
      .output(z.unknown())
      .query(({ input }) => input),
  });
  const request = new Request("http://localhost/users?filter[a]=b");
  const ours = await createOpenApiHandler({ router })(request);
  expect(await ours.json()).toEqual({ filter: { a: "b" } });
  const theirs = createOpenApiFetchHandler({ req: request, endpoint: "/none", router });
  await expect(theirs).rejects.toThrow('key: "filter" must be ZodString, ZodNumber, ZodBoolean, ZodBigInt or ZodDate');
});

test("the signal of the request: theirs does not reach the procedure", async () => {
  const { signals } = await both("GET", "/users/a");
  expect(signals).toEqual([expect.any(AbortSignal), undefined]);
});

test("subscriptions: theirs refuses such a router", async () => {
  const router = t.router({
    ticks: t.procedure.meta({ openapi: { method: "GET", path: "/ticks" } }).subscription(async function* () {
      yield 1;
    }),
  });
  const request = new Request("http://localhost/ticks");
  const ours = await createOpenApiHandler({ router })(request);
  expect(await ours.text()).toBe("data: 1\n\n");
  const theirs = createOpenApiFetchHandler({ req: request, endpoint: "/none", router });
  await expect(theirs).rejects.toThrow("Subscriptions are not supported");
});

test("another method: theirs is 404", async () => {
  const { ours, theirs } = await both("PUT", "/users/a");
  expect([ours, theirs]).toEqual([
    [405, expect.anything()],
    [404, expect.anything()],
  ]);
});

test("HEAD: theirs is 204 at any path", async () => {
  const known = await both("HEAD", "/users/a");
  const unknown = await both("HEAD", "/unknown");
  expect([known.ours, known.theirs]).toEqual([
    [200, ""],
    [204, ""],
  ]);
  expect([unknown.ours, unknown.theirs]).toEqual([
    [404, ""],
    [204, ""],
  ]);
});

test("an error from inside: theirs tells its message", async () => {
  const { ours, theirs } = await both("GET", "/fails");
  expect(ours).toEqual([500, { error: { code: "INTERNAL_SERVER_ERROR", message: "Internal server error." } }]);
  expect(theirs).toMatchObject([500, { message: "password=hunter2" }]);
});

test("an input that fails its schema: theirs is 400", async () => {
  const { ours, theirs } = await both("GET", "/users/a?n=x");
  expect([ours, theirs]).toEqual([
    [422, expect.anything()],
    [400, expect.anything()],
  ]);
});

test("a body without a type: theirs is 415", async () => {
  const body = new TextEncoder().encode('{"n":5}');
  const { ours, theirs } = await both("POST", "/users/a", { body });
  expect([ours, theirs]).toEqual([
    [200, { id: "a", n: 5 }],
    [415, expect.anything()],
  ]);
});
