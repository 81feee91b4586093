/**
 * The WebSocket door: tRPC on `/trpc`, on the port of the HTTP door.
 *
 * A socket is *authorized* from its upgrade (Authorization header or `?ticket=`), or *waiting* when it announced
 * connectionParams (`?connectionParams=1`), or *unauthorized*. A waiting one becomes authorized or unauthorized by
 * its first message, and is closed with 4408 when that does not come in time. An unauthorized one has its calls
 * answered with `UNAUTHORIZED`, so that clients can tell their user, and is closed with 4401 a moment later.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { appRouter, type Context, type KsiError } from "@ksi/contract";
import { getWSConnectionHandler } from "@trpc/server/adapters/ws";
import { type WebSocket, WebSocketServer } from "ws";
import type { DoorOptions } from "./doors.ts";
import { logCallError } from "./log-call-error.ts";
import { paceFollows, type WhenWritable } from "./pace-follows.ts";
import { bearerOf } from "./token.ts";

/** Why the daemon closes a socket, beside the codes of RFC 6455 (1002 malformed frame, 1009 frame too large). @internal */
export const closeCodes = {
  /** The daemon is stopping; reconnect and resume. */
  restarting: 1012,
  /** The token is missing or wrong; reconnecting with the same one is useless. */
  unauthorized: 4401,
  /** The announced connectionParams did not come. */
  connectionParamsTimeout: 4408,
} as const;

export interface WebSocketDoorOptions extends Omit<DoorOptions, "maxBatchSize"> {
  readonly server: Server;
  /** For connectionParams to arrive. Default 5,000. */
  readonly connectionParamsTimeoutMs?: number;
  /** From the refusal of a token to the close. Default 1,000. */
  readonly unauthorizedGraceMs?: number;
  /** A socket that gives no sign of life between two pings is ended. Default 30,000. */
  readonly pingIntervalMs?: number;
  /** Further sockets are refused with 503. Default 5,000. */
  readonly maxSockets?: number;
  /** What may wait unsent in a socket before its subscriptions and its calls wait too. Default 1 MiB. */
  readonly maxUnsentBytes?: number;
}

export interface WebSocketDoor extends AsyncDisposable {
  /** Tells clients to reconnect, then closes their sockets with 1012; ends those that do not answer in 1 s. */
  close(): Promise<void>;
}

export function startWebSocketDoor(options: WebSocketDoorOptions): WebSocketDoor {
  const { server, pingIntervalMs = 30_000, maxBodyBytes } = options;
  const wss = new WebSocketServer({ noServer: true, maxPayload: maxBodyBytes });
  const pinger = startPinger(wss, pingIntervalMs);
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", (error) => options.logger.debug({ err: error }, "socket failed"));
    const refusal = refuseUpgrade(request, wss.clients.size, options);
    if (refusal) {
      const answer = `HTTP/1.1 ${refusal}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
      // The server no longer knows this socket: a caller who keeps it open would hold up the close for ever.
      socket.end(answer, () => socket.destroy());
      return;
    }
    wss.handleUpgrade(request, socket, head, (ws) => {
      pinger.watch(ws);
      serveSocket({ ws, socket, request, wss }, options);
    });
  };
  server.on("upgrade", onUpgrade);

  const close = async () => {
    server.off("upgrade", onUpgrade);
    pinger.stop();
    await closeSockets(wss);
  };
  return { close, [Symbol.asyncDispose]: close };
}

function refuseUpgrade(request: IncomingMessage, sockets: number, options: WebSocketDoorOptions): string | undefined {
  const { guard, isDraining, logger, maxSockets = 5_000 } = options;
  const { host, origin } = request.headers;
  const refusal: KsiError | undefined = guard.refusal({ host, origin });
  if (refusal) {
    logger.info({ host, origin, reason: refusal.message }, "socket refused");
    return "403 Forbidden";
  }
  if (urlOf(request)?.pathname !== "/trpc") return "404 Not Found";
  return isDraining() || sockets >= maxSockets ? "503 Service Unavailable" : undefined;
}

interface Socket {
  ws: WebSocket;
  socket: Duplex;
  request: IncomingMessage;
  wss: WebSocketServer;
}

function serveSocket({ ws, socket, request, wss }: Socket, options: WebSocketDoorOptions): void {
  const { logger, health, maxUnsentBytes = 1_048_576 } = options;
  const whenWritable = createBrake({ ws, socket, maxUnsentBytes });
  const ports = paceFollows(options.ports, whenWritable);
  const deadline = createDeadline(ws, options);
  const isKnown = isAuthorizedByUpgrade(request, options);
  if (urlOf(request)?.searchParams.get("connectionParams") === "1") deadline.awaitConnectionParams();

  ws.on("message", () => {
    const writable = whenWritable();
    if (!writable) return;
    // Who does not read answers is not asked for more calls.
    ws.pause();
    void writable.then(() => ws.resume());
  });
  ws.on("close", (code) => {
    deadline.clear();
    logger.debug({ code }, "socket closed");
  });

  getWSConnectionHandler({
    wss,
    router: appRouter,
    // No maxBatchSize: a client that reconnects sends all its subscriptions in one frame, whose bytes are limited.
    createContext: ({ info }): Context => {
      const isAuthorized = isKnown || options.isToken(info.connectionParams?.token);
      if (isAuthorized) deadline.clear();
      else deadline.refuse();
      return { health, ports: isAuthorized ? ports : undefined };
    },
    onError: ({ error, path }) => logCallError(logger, error, { procedure: path }),
  })(ws, request);
}

function isAuthorizedByUpgrade(request: IncomingMessage, { isToken, tickets }: WebSocketDoorOptions): boolean {
  if (isToken(bearerOf(request.headers.authorization))) return true;
  const ticket = urlOf(request)?.searchParams.get("ticket");
  return typeof ticket === "string" && tickets.redeem(ticket);
}

/** Closes a socket that does not become authorized. */
function createDeadline(ws: WebSocket, options: WebSocketDoorOptions) {
  const { connectionParamsTimeoutMs = 5_000, unauthorizedGraceMs = 1_000 } = options;
  let timer: NodeJS.Timeout | undefined;
  const closeAfter = (ms: number, code: number, reason: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => ws.close(code, reason), ms);
  };
  return {
    awaitConnectionParams: () =>
      closeAfter(connectionParamsTimeoutMs, closeCodes.connectionParamsTimeout, "connectionParams did not come"),
    refuse: () => closeAfter(unauthorizedGraceMs, closeCodes.unauthorized, "the token is missing or wrong"),
    clear: () => clearTimeout(timer),
  };
}

interface BrakeOptions {
  ws: WebSocket;
  socket: Duplex;
  maxUnsentBytes: number;
}

/** All that wait share one pair of listeners. */
function createBrake({ ws, socket, maxUnsentBytes }: BrakeOptions): WhenWritable {
  let drained: Promise<void> | undefined;
  return () => {
    if (ws.readyState !== ws.OPEN || ws.bufferedAmount <= maxUnsentBytes) return undefined;
    drained ??= new Promise((resolve) => {
      const done = () => {
        socket.off("drain", done);
        socket.off("close", done);
        drained = undefined;
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
    return drained;
  };
}

/** Also ends sockets whose client has not read for that long, since its answer waits behind what it does not read. */
function startPinger(wss: WebSocketServer, intervalMs: number) {
  const awaited = new WeakSet<WebSocket>();
  const timer = setInterval(() => {
    for (const ws of wss.clients) {
      if (awaited.has(ws)) {
        ws.terminate();
        continue;
      }
      awaited.add(ws);
      ws.ping();
    }
  }, intervalMs);
  return {
    watch(ws: WebSocket) {
      const isAlive = () => awaited.delete(ws);
      ws.on("pong", isAlive).on("message", isAlive);
    },
    stop: () => clearInterval(timer),
  };
}

async function closeSockets(wss: WebSocketServer): Promise<void> {
  const reconnect = JSON.stringify({ id: null, method: "reconnect" });
  for (const ws of wss.clients) {
    if (ws.readyState === ws.OPEN) ws.send(reconnect);
    ws.close(closeCodes.restarting, "the daemon is stopping");
  }
  const timer = setTimeout(() => {
    for (const ws of wss.clients) ws.terminate();
  }, 1_000);
  await Promise.all(Array.from(wss.clients, (ws) => new Promise((resolve) => ws.once("close", resolve))));
  clearTimeout(timer);
}

/** Undefined for a request target that is no path, such as `*` or a full URL. */
function urlOf(request: IncomingMessage): URL | undefined {
  return URL.parse(`http://localhost${request.url}`) ?? undefined;
}
