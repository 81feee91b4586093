import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@ksi/testing";
import { initTRPC, TRPCError, tracked } from "@trpc/server";
import { observable } from "@trpc/server/observable";
import { expect, test } from "vitest";
import { z } from "zod";
import { createOpenApiHandler, type OpenApiHandlerOptions } from "./handler.ts";
import type { OpenApiMeta } from "./operations.ts";
import { serve } from "./testing/serve.ts";

const t = initTRPC.meta<OpenApiMeta>().create();
const stream = t.procedure.meta({ openapi: { method: "GET", path: "/stream" } });
const input = z.object({ lastEventId: z.string().optional() });

type Items = (call: { signal: AbortSignal | undefined; lastEventId: string | undefined }) => AsyncIterable<unknown>;
type Options = Partial<Omit<OpenApiHandlerOptions<ReturnType<typeof routerOf>>, "router">>;

function routerOf(items: Items) {
  return t.router({
    it: stream.input(input).subscription(({ signal, input: { lastEventId } }) => items({ signal, lastEventId })),
  });
}

function handlerOf(items: Items, options: Options = {}) {
  return createOpenApiHandler({ router: routerOf(items), ...options });
}

function open(items: Items, options: Options = {}, init: RequestInit = {}): Promise<Response> {
  return handlerOf(items, options)(new Request("http://localhost/stream", init));
}

/** Reads chunk by chunk. */
function textReader(response: Response) {
  const reader = response.body?.getReader();
  if (!reader) throw new Error("no body");
  const decoder = new TextDecoder();
  return {
    async next() {
      const { value } = await reader.read();
      return value && decoder.decode(value);
    },
    cancel: () => reader.cancel(),
  };
}

/** Resolves when aborted, and never otherwise. */
async function abortOf(signal: AbortSignal | undefined): Promise<void> {
  if (signal && !signal.aborted) await once(signal, "abort");
}

test("items are events: tracked ones with their id, each as JSON in one line", async () => {
  const response = await open(async function* () {
    yield tracked("1.1", { text: "a\nb", at: new Date(0) });
    yield "plain";
    yield undefined;
    yield tracked("1.2", 5n);
  });
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toEqual({
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
  expect(await response.text()).toBe(
    'id: 1.1\ndata: {"text":"a\\nb","at":"1970-01-01T00:00:00.000Z"}\n\n' +
      'data: "plain"\n\ndata: null\n\nid: 1.2\ndata: "5"\n\n',
  );
});

test("what is frozen is encoded once for all streams that give it, and what is not each time", async () => {
  let encoded = 0;
  const counting = { toJSON: () => `encoded ${++encoded}` };
  const shared = Object.freeze({ counting });
  const items = async function* () {
    yield tracked("1.1", shared);
    yield tracked("1.2", { counting });
  };
  const texts = [await (await open(items)).text(), await (await open(items)).text()];
  expect(texts.map((text) => text.match(/\d+(?="\})/g))).toEqual([
    ["1", "2"],
    ["1", "3"],
  ]);
});

test("an id to resume from reaches the procedure", async () => {
  const items: Items = async function* ({ lastEventId }) {
    yield lastEventId;
  };
  const response = await open(items, {}, { headers: { "last-event-id": "7.1" } });
  expect(await response.text()).toBe('data: "7.1"\n\n');
});

test("an error before the first item is the answer, with its status", async () => {
  const refusals: Items[] = [
    async function* () {
      yield await Promise.reject(new TRPCError({ code: "PRECONDITION_FAILED", message: "Trimmed." }));
    },
    () => {
      throw new TRPCError({ code: "PRECONDITION_FAILED", message: "Trimmed." });
    },
  ];
  for (const items of refusals) {
    const response = await open(items);
    expect(response.status).toBe(412);
    expect(await response.json()).toEqual({ error: { code: "PRECONDITION_FAILED", message: "Trimmed." } });
  }
});

test("an input that fails its schema is 422, and nothing is opened", async () => {
  let opened = 0;
  const handler = handlerOf(async function* () {
    yield ++opened;
  });
  const response = await handler(new Request("http://localhost/stream?lastEventId=1&lastEventId=2"));
  expect(response.status).toBe(422);
  expect(opened).toBe(0);
});

test("an end without any item is 204, so that an EventSource stays away", async () => {
  const response = await open(async function* () {});
  expect([response.status, response.body]).toEqual([204, null]);
});

test("HEAD has the status and headers of GET, and what was opened for them is left", async () => {
  const left: string[] = [];
  const items: Items = async function* () {
    try {
      yield 1;
    } finally {
      left.push("items");
    }
  };
  const response = await open(items, {}, { method: "HEAD" });
  expect([response.status, response.body, left]).toEqual([200, null, ["items"]]);
  expect(response.headers.get("content-type")).toBe("text/event-stream");

  const failing: Items = async function* () {
    yield Promise.reject(new TRPCError({ code: "NOT_FOUND" }));
  };
  expect((await open(failing, {}, { method: "HEAD" })).status).toBe(404);
});

test("a stream without an item at first starts with a comment, after openingMs", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const items: Items = async function* () {
    yield await promise;
  };
  const response = await open(items, { openingMs: 5 });
  const reader = textReader(response);
  expect(await reader.next()).toBe(":\n\n");
  resolve("late");
  expect(await reader.next()).toBe('data: "late"\n\n');
  expect(await reader.next()).toBeUndefined();
});

test("a procedure that is slow to open is waited for no longer either", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = t.router({
    it: stream.subscription(async () => {
      await promise;
      return (async function* () {
        yield 1;
      })();
    }),
  });
  const response = await createOpenApiHandler({ router: slow, openingMs: 5 })(new Request("http://localhost/stream"));
  expect(response.status).toBe(200);
  resolve();
  expect(await response.text()).toBe(":\n\ndata: 1\n\n");
});

test("an error after the head is an error event, told to onError, and the end", async () => {
  const failures: unknown[] = [];
  const items: Items = async function* () {
    yield 1;
    throw new Error("password=hunter2");
  };
  const response = await open(items, {
    onError: ({ error, procedure }) => failures.push([error.cause?.message, procedure]),
  });
  expect(await response.text()).toBe(
    'data: 1\n\nevent: error\ndata: {"error":{"code":"INTERNAL_SERVER_ERROR","message":"Internal server error."}}\n\n',
  );
  expect(failures).toEqual([["password=hunter2", "it"]]);
});

test("an item that has no JSON is an error event, and its generator is returned", async () => {
  let isReturned = false;
  const response = await open(async function* () {
    try {
      yield 1;
      yield new Map([[{}, 1]]);
      yield 2;
    } finally {
      isReturned = true;
    }
  });
  expect(await response.text()).toMatch(/^data: 1\n\nevent: error\ndata: .*\n\n$/);
  await until(() => isReturned);
});

test("silence is filled with comments, and ends with the next item", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const response = await open(
    async function* () {
      yield 1;
      await promise;
      yield 2;
    },
    { keepAliveMs: 5 },
  );
  const reader = textReader(response);
  expect(await reader.next()).toBe("data: 1\n\n");
  expect(await reader.next()).toBe(":\n\n");
  expect(await reader.next()).toBe(":\n\n");
  resolve();
  await until(async () => (await reader.next()) === "data: 2\n\n");
  expect(await reader.next()).toBeUndefined();
});

test("an observable is served too", async () => {
  let isUnsubscribed = false;
  const legacy = t.router({
    it: stream.subscription(() =>
      observable<number>((observer) => {
        observer.next(1);
        observer.next(2);
        return () => {
          isUnsubscribed = true;
        };
      }),
    ),
  });
  const response = await createOpenApiHandler({ router: legacy })(new Request("http://localhost/stream"));
  const reader = textReader(response);
  expect(await reader.next()).toBe("data: 1\n\ndata: 2\n\n");
  await reader.cancel();
  await until(() => isUnsubscribed);
});

test("items that are there at once travel together, in chunks of about 64 kB", async () => {
  const item = "x".repeat(1_000);
  const response = await open(async function* () {
    for (let count = 0; count < 200; count++) yield item;
  });
  const sizes: number[] = [];
  const reader = textReader(response);
  for (let text = await reader.next(); text !== undefined; text = await reader.next()) sizes.push(text.length);
  expect(sizes).toHaveLength(4);
  expect(Math.max(...sizes)).toBeLessThan(68_000);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(200 * `data: "${item}"\n\n`.length);
});

test("who does not read asks for nothing", async () => {
  let asked = 0;
  const response = await open(async function* () {
    for (;;) {
      asked++;
      yield "x".repeat(1_000);
    }
  });
  await delay(0);
  expect(asked).toBe(1);
  const reader = textReader(response);
  await reader.next();
  await delay(0);
  expect(asked).toBeLessThan(70);
  await reader.cancel();
});

test("cancelling the stream returns the generator and aborts its signal", async () => {
  let seen: AbortSignal | undefined;
  let isReturned = false;
  const response = await open(async function* ({ signal }) {
    seen = signal;
    try {
      yield 1;
      await abortOf(signal);
    } finally {
      isReturned = true;
    }
  });
  const reader = textReader(response);
  await reader.next();
  expect(seen?.aborted).toBe(false);
  await reader.cancel();
  expect(seen?.aborted).toBe(true);
  await until(() => isReturned);
});

test("cancelling a stream that was never read returns a generator that waits at its yield", async () => {
  let isReturned = false;
  const response = await open(async function* () {
    try {
      yield 1;
    } finally {
      isReturned = true;
    }
  });
  await response.body?.cancel();
  await until(() => isReturned);
});

test("aborting the request returns the generator and closes the stream", async () => {
  const controller = new AbortController();
  let isReturned = false;
  const failures: unknown[] = [];
  const items: Items = async function* ({ signal }) {
    try {
      yield 1;
      await delay(60_000, undefined, signal && { signal });
    } finally {
      isReturned = true;
    }
  };
  const options: Options = { onError: (failure) => failures.push(failure) };
  const response = await open(items, options, { signal: controller.signal });
  const reader = textReader(response);
  await reader.next();
  const end = reader.next();
  controller.abort();
  expect(await end).toBeUndefined();
  await until(() => isReturned);
  expect(failures).toEqual([]);
});

test("aborting the request while the head is held back ends the wait, and what opens later is returned", async () => {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<AsyncIterable<number>>();
  let returned = 0;
  const slow = t.router({ it: stream.subscription(() => promise) });
  const handler = createOpenApiHandler({ router: slow, openingMs: 60_000 });
  const response = handler(new Request("http://localhost/stream", { signal: controller.signal }));
  controller.abort();
  expect((await response).status).toBe(499);
  resolve({
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        returned++;
        return { done: true, value: undefined };
      },
    }),
  });
  await until(() => returned === 1);
});

test("over a socket, a client that goes away returns its generator", async () => {
  let open = 0;
  await using served = await serve(
    handlerOf(async function* ({ signal }) {
      open++;
      try {
        yield 1;
        await abortOf(signal);
      } finally {
        open--;
      }
    }),
  );
  const controller = new AbortController();
  const response = await fetch(`${served.url}/stream`, { signal: controller.signal });
  expect(await textReader(response).next()).toBe("data: 1\n\n");
  expect(open).toBe(1);
  controller.abort();
  await until(() => open === 0);
});

test("over a socket, a client that stops reading stops its own generator, and no other", async () => {
  const counts: number[] = [];
  const item = "x".repeat(16_000);
  await using served = await serve(
    handlerOf(async function* () {
      const own = counts.push(0) - 1;
      for (;;) {
        counts[own] = (counts[own] ?? 0) + 1;
        yield item;
      }
    }),
  );
  const { port } = new URL(served.url);
  const stalled = connect(Number(port), "127.0.0.1");
  stalled.write("GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(stalled, "readable");

  // Full is what the kernel takes for the connection: some megabytes.
  let before = -1;
  await until(async () => {
    const isStill = counts[0] === before;
    before = counts[0] ?? 0;
    await delay(50);
    return isStill;
  });
  expect(before * item.length).toBeLessThan(64_000_000);

  const reader = textReader(await fetch(`${served.url}/stream`));
  for (let read = 0; read < 100_000; ) read += (await reader.next())?.length ?? 0;
  expect(counts[1]).toBeGreaterThan(5);
  expect(counts[0]).toBe(before);
  await reader.cancel();

  stalled.resume();
  await until(() => (counts[0] ?? 0) > before);
  stalled.destroy();
});
