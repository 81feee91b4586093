/** A fetch handler on a port of its own, so that real clients can be disconnected from it. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Handler } from "./ask.ts";

export interface Served extends AsyncDisposable {
  /** What an OpenAI client takes as `baseURL`. */
  readonly baseURL: string;
}

export async function serve(handler: Handler): Promise<Served> {
  const server = createServer((incoming, outgoing) => void answer(handler, incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port.");
  return {
    baseURL: `http://127.0.0.1:${address.port}/v1`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(handler: Handler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const client = new AbortController();
  outgoing.on("close", () => outgoing.writableFinished || client.abort());
  const init = {
    method: incoming.method,
    headers: incoming.headers,
    signal: client.signal,
    ...(incoming.method === "POST" && { body: Readable.toWeb(incoming), duplex: "half" }),
  };
  const response = await handler(new Request(`http://ksi.test${incoming.url}`, init as RequestInit));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  // A client that went away is what the tests look at from the other side.
  await pipeline(body, outgoing).catch(() => undefined);
}
