import { setTimeout as delay } from "node:timers/promises";
import { until } from "@ksi/testing";
import { initTRPC, lazy, TRPCError } from "@trpc/server";
import { expect, test } from "vitest";
import { z } from "zod";
import { createOpenApiHandler, type OpenApiHandlerOptions } from "./handler.ts";
import type { OpenApiMeta, OpenApiOperationMeta } from "./operations.ts";
import { serve } from "./testing/serve.ts";

const t = initTRPC.context<{ user?: string }>().meta<OpenApiMeta>().create();

function at(method: OpenApiOperationMeta["method"], path: `/${string}`, more?: Partial<OpenApiOperationMeta>) {
  return t.procedure.meta({ openapi: { method, path, ...more } });
}

const zoo = z.object({
  id: z.string(),
  n: z.number(),
  on: z.boolean(),
  big: z.bigint(),
  at: z.date(),
  kind: z.enum(["cat", "dog"]),
  tags: z.array(z.string()),
  pair: z.tuple([z.number(), z.boolean()]),
  only: z.set(z.number()),
  filter: z.object({ name: z.string(), min: z.number().optional() }),
  counts: z.record(z.string(), z.number()),
  scores: z.map(z.string(), z.number()),
  either: z.union([z.number(), z.string()]),
  maybe: z.number().nullable(),
  page: z.number().default(1),
  upper: z.string().transform((text) => text.toUpperCase()),
});

const router = t.router({
  zoo: t.router({
    find: at("GET", "/zoo/{id}")
      .input(zoo)
      .query(({ input }) => input),
    remove: at("DELETE", "/zoo/{id}")
      .input(zoo.pick({ id: true, n: true }))
      .mutation(({ input }) => input),
    put: at("PUT", "/zoo/{id}")
      .input(zoo)
      .mutation(({ input }) => input),
    submit: at("POST", "/zoo/{id}/form", { contentTypes: ["application/x-www-form-urlencoded"] })
      .input(zoo.pick({ id: true, n: true, tags: true }))
      .mutation(({ input }) => input),
  }),
  agents: t.router({
    register: at("POST", "/agents/register")
      .input(z.object({ name: z.string() }))
      .mutation(({ input }) => input),
    get: at("GET", "/agents/{id}")
      .input(z.object({ id: z.string() }))
      .query(({ input }) => input),
  }),
  both: at("POST", "/both/{id}")
    .input(z.object({ id: z.number() }))
    .input(z.object({ name: z.string() }))
    .mutation(({ input }) => input),
  maybe: at("POST", "/maybe")
    .input(z.object({ a: z.string() }).optional())
    .mutation(({ input }) => ({ input })),
  list: at("GET", "/list")
    .input(z.object({ limit: z.number() }).default({ limit: 7 }))
    .query(({ input }) => input),
  nothing: at("POST", "/nothing").mutation(() => undefined),
  nil: at("GET", "/nil").query(() => null),
  rich: at("GET", "/rich").query(() => ({ at: new Date(0), big: 1n, set: new Set([1]), map: new Map([["a", 1]]) })),
  stream: at("GET", "/stream").query(async function* () {
    yield 1;
  }),
  fails: at("GET", "/fails").query(() => {
    throw new Error("password=hunter2");
  }),
  conflicts: at("GET", "/conflicts").query(() => {
    throw new TRPCError({ code: "CONFLICT", message: "Taken." });
  }),
  lies: at("GET", "/lies")
    .output(z.object({ secret: z.string() }))
    .query(() => JSON.parse('{"secret":5}')),
  whoami: at("GET", "/whoami").query(({ ctx }) => ctx.user ?? "nobody"),
  guarded: at("POST", "/guarded")
    .use(({ ctx, next }) => {
      if (!ctx.user) throw new TRPCError({ code: "UNAUTHORIZED", message: "Who are you?" });
      return next();
    })
    .input(z.object({ a: z.string() }))
    .mutation(({ input }) => input),
  json: at("POST", "/json")
    .input(z.object({ value: z.json() }))
    .mutation(({ input }) => input.value),
  ticks: at("GET", "/ticks").subscription(async function* () {
    yield 1;
  }),
});

const handler = createOpenApiHandler({ router });

function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const init = { method, headers: { "content-type": "application/json", ...headers } };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return handler(new Request(`http://localhost${path}`, body === undefined ? init : { ...init, body: text }));
}

async function errorOf(response: Response) {
  const { error }: { error: { code: string; message: string; issues?: unknown } } = JSON.parse(await response.text());
  return error;
}

const animal = {
  id: "a/b c",
  n: -1.5,
  on: false,
  big: "18446744073709551616",
  at: "2026-02-28T00:00:00.000Z",
  kind: "dog",
  tags: ["5"],
  pair: [1, true],
  only: [1, 2],
  filter: { name: "x", min: 2 },
  counts: { a: 1 },
  scores: { b: 2 },
  either: 5,
  maybe: null,
  page: 1,
  upper: "SHOUT",
};

test("a query's input is read from path and query by its schema", async () => {
  const query =
    "n=-1.5&on=false&big=18446744073709551616&at=2026-02-28&kind=dog&tags=5&pair=1&pair=true&only=1&only=2&only=1" +
    "&filter[name]=x&filter[min]=2&counts[a]=1&scores[b]=2&either=5&maybe=null&upper=shout";
  const response = await send("GET", `/zoo/a%2Fb%20c?${query}&id=overruled`);
  expect(await response.json()).toEqual(animal);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
});

test("a mutation's input is read from path and body, and the path goes first", async () => {
  const response = await send("PUT", "/zoo/a%2Fb%20c?n=overruled", { ...animal, id: "overruled", upper: "shout" });
  expect(await response.json()).toEqual(animal);
});

test("DELETE takes the query, and leaves a body alone", async () => {
  const response = await send("DELETE", "/zoo/a?n=5", "{");
  expect(await response.json()).toEqual({ id: "a", n: 5 });
});

test("a form is texts", async () => {
  const type = { "content-type": "application/x-www-form-urlencoded" };
  const response = await send("POST", "/zoo/a/form", "n=5&tags=x", type);
  expect(await response.json()).toEqual({ id: "a", n: 5, tags: ["x"] });
  expect((await send("PUT", "/zoo/a", "n=5", type)).status).toBe(415);
});

test("what fails its schema is 422, with all that is wrong", async () => {
  const response = await send("GET", "/zoo/a?n=x&n=y&on=1&big=1.5&at=yesterday&kind=cow&filter[min]=x&maybe=");
  expect(response.status).toBe(422);
  const { code, issues } = await errorOf(response);
  expect(code).toBe("UNPROCESSABLE_CONTENT");
  expect(issues).toEqual(
    expect.arrayContaining([
      { path: "n", message: "Invalid input: expected number, received array" },
      { path: "on", message: "Invalid input: expected boolean, received string" },
      { path: "filter.name", message: "Invalid input: expected string, received undefined" },
      { path: "filter.min", message: "Invalid input: expected number, received string" },
      { path: "kind", message: 'Invalid option: expected one of "cat"|"dog"' },
    ]),
  );
});

test.each(["[]", "null", "5", '"text"'])("a body %s is 422 where an object is wanted", async (body) => {
  const response = await send("PUT", "/zoo/a", body);
  expect(response.status).toBe(422);
  const issue = { path: "", message: expect.stringContaining("expected object") };
  expect(await errorOf(response)).toMatchObject({ issues: [issue] });
});

test("text in a JSON body is not taken for a number", async () => {
  const response = await send("PUT", "/zoo/a", { ...animal, n: "5" });
  expect(await errorOf(response)).toMatchObject({ issues: [{ path: "n" }] });
});

test("several inputs share one body", async () => {
  const response = await send("POST", "/both/5", { name: "x" });
  expect(await response.json()).toEqual({ id: 5, name: "x" });
  expect(await errorOf(await send("POST", "/both/5", {}))).toMatchObject({ issues: [{ path: "name" }] });
});

test("no body is an empty object, or undefined where that will do", async () => {
  expect(await errorOf(await send("POST", "/agents/register"))).toMatchObject({ issues: [{ path: "name" }] });
  expect(await (await send("POST", "/maybe")).json()).toEqual({});
  expect(await (await send("POST", "/maybe", { a: "x" })).json()).toEqual({ input: { a: "x" } });
  expect((await send("POST", "/maybe", {})).status).toBe(422);
  expect(await (await send("GET", "/list")).json()).toEqual({ limit: 7 });
  expect(await (await send("GET", "/list?limit=3")).json()).toEqual({ limit: 3 });
  expect((await send("GET", "/list?other=3")).status).toBe(422);
});

test("what cannot be read is 400", async () => {
  expect((await send("PUT", "/zoo/a", "{")).status).toBe(400);
  expect((await send("GET", "/zoo/%zz")).status).toBe(400);
  expect((await send("GET", "/zoo/a?n=%zz")).status).toBe(400);
});

test("a body over the limit is 413, of another type 415", async () => {
  const small = createOpenApiHandler({ router, maxBodyBytes: 10 });
  const request = new Request("http://localhost/agents/register", { method: "POST", body: '{"name":"x"}' });
  request.headers.set("content-type", "application/json");
  expect((await small(request)).status).toBe(413);
  expect((await send("PUT", "/zoo/a", "{}", { "content-type": "text/plain" })).status).toBe(415);
});

test("the limit is 1 MiB by default", async () => {
  const value = (length: number) => ({ value: "x".repeat(length - '{"value":""}'.length) });
  expect((await send("POST", "/json", value(2 ** 20))).status).toBe(200);
  expect((await send("POST", "/json", value(2 ** 20 + 1))).status).toBe(413);
});

test("an unknown path is 404, a known one by another method 405 with Allow", async () => {
  const unknown = await send("GET", "/unknown");
  expect(unknown.status).toBe(404);
  expect(await errorOf(unknown)).toEqual({ code: "NOT_FOUND", message: "Nothing is served at this path." });

  const other = await send("PATCH", "/zoo/a");
  expect(other.status).toBe(405);
  expect(other.headers.get("allow")).toBe("GET, HEAD, DELETE, PUT, OPTIONS");
  expect(await errorOf(other)).toMatchObject({ code: "METHOD_NOT_SUPPORTED" });

  expect((await send("HEAD", "/agents/register")).status).toBe(200);
  expect((await send("HEAD", "/nothing")).status).toBe(405);
});

test("OPTIONS tells the methods of a path", async () => {
  const options = await send("OPTIONS", "/agents/register");
  expect(options.status).toBe(204);
  expect(options.headers.get("allow")).toBe("POST, GET, HEAD, OPTIONS");
  expect((await send("OPTIONS", "/unknown")).status).toBe(404);
});

test("HEAD is as GET, without the body", async () => {
  const found = await send("HEAD", "/agents/bob");
  expect([found.status, found.headers.get("content-type"), await found.text()]).toEqual([200, "application/json", ""]);
  const conflict = await send("HEAD", "/conflicts");
  expect([conflict.status, await conflict.text()]).toEqual([409, ""]);
  const unknown = await send("HEAD", "/unknown");
  expect([unknown.status, await unknown.text()]).toEqual([404, ""]);
});

test("the same path by another method is another procedure", async () => {
  expect(await (await send("POST", "/agents/register", { name: "bob" })).json()).toEqual({ name: "bob" });
  expect(await (await send("GET", "/agents/register/")).json()).toEqual({ id: "register" });
});

test("undefined is 204, null is null, and richer values have their JSON", async () => {
  const nothing = await send("POST", "/nothing", "not looked at", { "content-type": "text/plain" });
  expect([nothing.status, nothing.headers.get("content-type"), await nothing.text()]).toEqual([204, null, ""]);
  expect(await (await send("GET", "/nil")).text()).toBe("null");
  expect(await (await send("GET", "/rich")).json()).toEqual({
    at: "1970-01-01T00:00:00.000Z",
    big: "1",
    set: [1],
    map: { a: 1 },
  });
});

test("an error is told by its code, and one from inside tells nothing", async () => {
  const conflict = await send("GET", "/conflicts");
  expect([conflict.status, await errorOf(conflict)]).toEqual([409, { code: "CONFLICT", message: "Taken." }]);
  for (const path of ["/fails", "/lies", "/stream"]) {
    const failure = await send("GET", path);
    expect(failure.status, path).toBe(500);
    expect(await errorOf(failure), path).toEqual({ code: "INTERNAL_SERVER_ERROR", message: "Internal server error." });
  }
});

test("JSON that is nested beyond what a schema can walk is the caller's fault", async () => {
  const response = await send("POST", "/json", `{"value":${"[".repeat(50_000)}${"]".repeat(50_000)}}`);
  expect([400, 422]).toContain(response.status);
  expect(await response.text()).not.toMatch(/stack|RangeError/);
});

test("no key of a body reaches a prototype", async () => {
  const body = '{"value":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":1}}';
  const response = await send("POST", "/json", body);
  expect(await response.text()).toBe('{"constructor":{"prototype":{"polluted":1}},"a":1}');
  expect(Reflect.get({}, "polluted")).toBeUndefined();
});

test("every failure is told to onError, with the procedure where there is one", async () => {
  const failures: [string, string | undefined, unknown][] = [];
  const watched = createOpenApiHandler({
    router,
    onError: ({ error, procedure }) => failures.push([error.code, procedure, error.cause?.message]),
  });
  for (const path of ["/fails", "/unknown", "/zoo/%", "/agents/bob", "/list?limit=x"]) {
    await watched(new Request(`http://localhost${path}`));
  }
  expect(failures).toEqual([
    ["INTERNAL_SERVER_ERROR", "fails", "password=hunter2"],
    ["NOT_FOUND", undefined, undefined],
    ["PARSE_ERROR", undefined, undefined],
    ["BAD_REQUEST", "list", expect.stringContaining("expected number")],
  ]);
});

test("the context is made from the request, knowing what is called", async () => {
  const withUser = createOpenApiHandler({
    router,
    createContext: async ({ request, info, operation }) => {
      expect(operation.procedure).toBe("whoami");
      expect(info).toMatchObject({ type: "query", isBatchCall: false, calls: [{ path: "whoami" }] });
      expect(info.url?.searchParams.get("a")).toBe("b");
      return { user: request.headers.get("authorization") ?? "somebody" };
    },
  });
  const request = new Request("http://localhost/whoami?a=b", { headers: { authorization: "bob" } });
  expect(await (await withUser(request)).json()).toBe("bob");
  expect(await (await send("GET", "/whoami")).json()).toBe("nobody");
});

test("a context that is refused is the answer", async () => {
  const createContext: OpenApiHandlerOptions<typeof router>["createContext"] = () => {
    throw new TRPCError({ code: "FORBIDDEN", message: "Not you." });
  };
  const response = await createOpenApiHandler({ router, createContext })(new Request("http://localhost/whoami"));
  expect([response.status, await errorOf(response)]).toEqual([403, { code: "FORBIDDEN", message: "Not you." }]);
});

test("who is turned away is so before the body is read", async () => {
  let pulled = 0;
  const body = new ReadableStream(
    {
      pull(controller) {
        pulled++;
        controller.enqueue(new TextEncoder().encode("{"));
      },
    },
    { highWaterMark: 0 },
  );
  const request = new Request("http://localhost/guarded", Object.assign({ method: "POST", body }, { duplex: "half" }));
  expect((await handler(request)).status).toBe(401);
  expect(pulled).toBe(0);
});

test("tRPC's own validation is the same after calls over REST as before", async () => {
  const caller = router.createCaller({});
  const verdict = async () => {
    const inputs = [
      { id: "a", n: "5", tags: "x" },
      { id: "a", n: "5" },
      { id: 5, n: 5 },
      { id: "a", n: 5 },
    ];
    const calls = inputs.map((input) => caller.zoo.remove(JSON.parse(JSON.stringify(input))));
    return (await Promise.allSettled(calls)).map((result) =>
      result.status === "fulfilled" ? result.value : String(result.reason),
    );
  };
  const before = await verdict();
  await send("GET", "/zoo/a?n=5");
  await send("DELETE", "/zoo/a?n=5&tags=x");
  await send("PUT", "/zoo/a", animal);
  expect(await verdict()).toEqual(before);
  expect(zoo.shape.n.safeParse("5").success).toBe(false);
  expect(before.at(-1)).toEqual({ id: "a", n: 5 });
});

test("paths may stand under a base", async () => {
  const based = createOpenApiHandler({ router, basePath: "/api" });
  expect((await based(new Request("http://localhost/api/nil"))).status).toBe(200);
  expect((await based(new Request("http://localhost/nil"))).status).toBe(404);
});

test("a fault in the router is thrown when the handler is made", () => {
  const faulty = t.router({ a: at("GET", "/a").query(() => 1), b: at("GET", "/a").query(() => 1) });
  expect(() => createOpenApiHandler({ router: faulty })).toThrow("The procedure b is at GET /a, where a is already.");
});

test("lazy routers are loaded by the first request, and only then", async () => {
  let loads = 0;
  const load = async () => {
    loads++;
    return t.router({ pong: at("GET", "/pong").query(() => "pong") });
  };
  const late = createOpenApiHandler({ router: t.router({ later: lazy(load) }) });
  expect(loads).toBe(0);
  const responses = await Promise.all([1, 2].map(() => late(new Request("http://localhost/pong"))));
  expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  expect(loads).toBe(1);
});

test("a lazy router that does not load is a 500 that onError explains", async () => {
  const failures: unknown[] = [];
  const broken = t.router({
    later: lazy<typeof router>(async () => {
      throw new Error("no such module");
    }),
  });
  const late = createOpenApiHandler({ router: broken, onError: ({ error }) => failures.push(error.cause) });
  expect((await late(new Request("http://localhost/"))).status).toBe(500);
  expect(failures).toEqual([new Error("no such module")]);
});

test("a client that goes away aborts the signal that its procedure has", async () => {
  let signal: AbortSignal | undefined;
  const failures: string[] = [];
  const slow = t.router({
    wait: at("GET", "/wait").query(async (call) => {
      signal = call.signal;
      await delay(60_000, undefined, call.signal && { signal: call.signal });
    }),
  });
  const onError = ({ error }: { error: TRPCError }) => failures.push(error.code);
  await using served = await serve(createOpenApiHandler({ router: slow, onError }));
  const controller = new AbortController();
  const response = fetch(`${served.url}/wait`, { signal: controller.signal });
  await until(() => signal);
  controller.abort();
  await expect(response).rejects.toThrow("aborted");
  await until(() => signal?.aborted && failures.length > 0);
  expect(failures).toEqual(["CLIENT_CLOSED_REQUEST"]);
});

test("over a real socket, bodies of all kinds arrive", async () => {
  await using served = await serve(handler);
  const call = (path: string, init: RequestInit) => fetch(`${served.url}${path}`, init);
  const headers = { "content-type": "application/json" };
  const put = await call("/zoo/%E2%82%AC", { method: "PUT", headers, body: JSON.stringify({ ...animal, upper: "ä" }) });
  expect(await put.json()).toEqual({ ...animal, id: "€", upper: "Ä" });
  expect((await call("/nothing", { method: "POST" })).status).toBe(204);
  expect((await call("/agents/register", { method: "POST" })).status).toBe(422);
  expect((await call("/json", { method: "POST", headers, body: "x".repeat(2 ** 21) })).status).toBe(413);
  expect((await call("/agents/bob", { method: "HEAD" })).status).toBe(200);
});
