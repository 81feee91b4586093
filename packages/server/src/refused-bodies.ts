/**
 * Bodies over the limit, of which the rest is not read. What is left of one stands between its answer and the next
 * request, so the connection ends with the answer. It ends late: one that is closed over unread bytes is reset, and a
 * client that is still sending would lose the answer that tells it to stop.
 */
import type { IncomingMessage } from "node:http";
import type { MiddlewareHandler } from "hono";
import type { HttpDoorOptions } from "./doors.ts";
import type { HttpVariables } from "./http-middleware.ts";

/** Says `connection: close` with a 413, and throws away what still comes of the body before the connection is closed. */
export function closeAfterRefusedBody({ lingerMs = 5_000 }: HttpDoorOptions): MiddlewareHandler<HttpVariables> {
  return async (c, next) => {
    await next();
    const { incoming } = c.env;
    if (c.res.status !== 413 || incoming.readableEnded || incoming.destroyed) return;
    const bytes = new Uint8Array(await c.res.arrayBuffer());
    const headers = new Headers(c.res.headers);
    headers.set("connection", "close");
    // By which the client knows that it has all of the answer, although the connection is still open.
    headers.set("content-length", String(bytes.length));
    c.res = new Response(streamUntil(discard(incoming, lingerMs), bytes), { status: 413, headers });
  };
}

function streamUntil(done: Promise<void>, bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(bytes);
      await done;
      controller.close();
    },
  });
}

/** Resolves when all has come, or the client is gone, or the time is over. */
function discard(incoming: IncomingMessage, lingerMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, lingerMs);
    const finish = () => {
      clearTimeout(timer);
      resolve();
    };
    incoming.once("end", finish).once("close", finish);
    // Whoever began to read it would hold up the rest.
    incoming.removeAllListeners("data").resume();
  });
}
