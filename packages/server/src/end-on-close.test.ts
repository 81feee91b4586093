import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { endOnClose } from "./end-on-close.ts";
import { startListener } from "./listener.ts";

const ignore = () => undefined;
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

test("a stream whose client goes away is cancelled, with nothing else to tell it", async () => {
  let isCancelled = false;
  const closing = new AbortController();
  await using listener = await startListener({ host: "127.0.0.1", port: 0, logger });
  listener.serve(
    getRequestListener(() =>
      endOnClose(
        streamOf(["one"], () => (isCancelled = true)),
        closing.signal,
      ),
    ),
  );
  const [response] = (await once(get(listener.url, { agent: false }), "response")) as [IncomingMessage];
  await once(response, "data");
  expect(isCancelled).toBe(false);
  response.destroy();
  await until(() => isCancelled, { message: "the stream is cancelled" });
});

test("what was said before the close is read, then the stream ends", async () => {
  const closing = new AbortController();
  let isCancelled = false;
  const response = endOnClose(
    streamOf(["one", "two"], () => (isCancelled = true)),
    closing.signal,
  );
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect([await reader?.read(), await reader?.read()]).toMatchObject([{ value: "one" }, { value: "two" }]);
  const waiting = reader?.read();
  closing.abort();
  expect(await waiting).toEqual({ done: true, value: undefined });
  expect(isCancelled).toBe(true);
});

test("a stream that is opened after the close ends at once, and another answer is not touched", async () => {
  const closed = AbortSignal.abort();
  expect(await endOnClose(streamOf(["one"]), closed).text()).toBe("");
  const json = Response.json({});
  expect(endOnClose(json, closed)).toBe(json);
});

test("status and headers stay, and a stream that fails fails", async () => {
  const { signal } = new AbortController();
  const broken = new ReadableStream({ pull: () => Promise.reject(new Error("broken")) });
  const headers = { "content-type": "text/event-stream", "x-mine": "1" };
  const response = endOnClose(new Response(broken, { status: 201, headers }), signal);
  expect([response.status, response.headers.get("x-mine")]).toEqual([201, "1"]);
  await expect(response.text()).rejects.toThrow("broken");
});

/** Says this, and then nothing until it is cancelled. */
function streamOf(texts: string[], onCancel: () => void = ignore): Response {
  const encoder = new TextEncoder();
  const waiting = [...texts];
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const text = waiting.shift();
        if (text === undefined) return new Promise(() => undefined);
        controller.enqueue(encoder.encode(text));
        return undefined;
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  );
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}
