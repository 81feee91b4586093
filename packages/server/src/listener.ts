/** The port: taken first, so that one in use is noticed before anything else is started. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KsiError } from "@ksi/contract/errors";
import { errorResponse } from "@ksi/openapi/ksi";
import { openAiErrorResponse } from "@ksi/openapi/openai";
import type { Logger } from "./logger.ts";

export interface Listener extends AsyncDisposable {
  readonly server: Server;
  /** What a client on this machine calls. */
  readonly url: string;
  /** Until it is called, every request is answered 503. */
  serve(handler: RequestHandler): void;
  /** Accepts nothing more and waits for what is under way, at most `graceMs` (default 1,000). Safe to repeat. */
  close(graceMs?: number): Promise<void>;
}

/** Answers by itself, errors too: a promise that it gives is not looked at. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface ListenerOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  logger: Logger;
}

const timeouts = {
  /** For the whole request, body included; answers may take as long as they like. */
  requestTimeout: 60_000,
  headersTimeout: 10_000,
  /** Above the idle time of common proxies (60 s), so that they never reuse a connection as it is being closed. */
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
};

/** Open connections of all kinds; further ones are dropped. */
const maxConnections = 10_000;

/** `CONFLICT` for a port in use, `FORBIDDEN` for one that needs rights, `INVALID_INPUT` for a host that is not ours. */
export async function startListener({ host, port, logger }: ListenerOptions): Promise<Listener> {
  let handler: RequestHandler = answerStarting;
  let closing: Promise<void> | undefined;
  // Clients that would like HTTP/2 say `Upgrade: h2c` with their first request, and are to have its answer all the same.
  // Node before 24.9 knows no such option: there, all upgrades go to the socket door, which answers these with 404.
  const shouldUpgradeCallback = (request: IncomingMessage): boolean =>
    request.headers.upgrade?.toLowerCase() === "websocket" && server.listenerCount("upgrade") > 0;
  const server = createServer({ ...timeouts, shouldUpgradeCallback }, (request, response) => {
    // A kept-alive connection would hold the close up after its last answer.
    response.on("close", () => closing && setImmediate(() => server.closeIdleConnections()));
    void handler(request, response);
  });
  server.maxConnections = maxConnections;
  await listen(server, host, port);
  // Such as running out of file descriptors while accepting: unheard, it would end the process.
  server.on("error", (error) => logger.error({ err: error }, "listening failed"));

  const close = (graceMs = 1_000) => {
    closing ??= closeServer(server, graceMs);
    return closing;
  };
  return {
    server,
    url: urlOf(server.address() as AddressInfo),
    serve: (next) => {
      handler = next;
    },
    close,
    [Symbol.asyncDispose]: () => close(0),
  };
}

/** In the shape of the surface that is called, and worth another try. */
const answerStarting: RequestHandler = async ({ url }, response) => {
  const error = new KsiError("STORE_UNAVAILABLE", "The daemon is starting.");
  const answer = url?.startsWith("/v1/") ? openAiErrorResponse(error) : errorResponse(error);
  const headers = { ...Object.fromEntries(answer.headers), "retry-after": "1" };
  response.writeHead(answer.status, headers).end(await answer.text());
};

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function explain(cause: NodeJS.ErrnoException, host: string, port: number): KsiError {
  switch (cause.code) {
    case "EADDRINUSE":
      return new KsiError("CONFLICT", `Port ${port} on ${host} is in use. Choose another with --port.`, { cause });
    case "EACCES":
      return new KsiError("FORBIDDEN", `Port ${port} needs more rights. Choose another with --port.`, { cause });
    default: {
      const reason = cause.code ?? cause.message;
      return new KsiError("INVALID_INPUT", `Cannot listen on ${host} port ${port} (${reason}). See --host.`, { cause });
    }
  }
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

function urlOf({ address, port, family }: AddressInfo): string {
  const reachable = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  return family === "IPv6" ? `http://[${reachable}]:${port}` : `http://${reachable}:${port}`;
}
