/**
 * The WebSocket door, on the port of the HTTP door: tRPC on `/trpc`, plain events on `/ws`. Here is what both have in
 * common: who is let in, how many, for how long, and how they are told that the daemon stops.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { closeCodes } from "./close-codes.ts";
import type { OpenSocket, SocketOptions } from "./doors.ts";
import { maxClientFrameBytes, servePlainSocket } from "./plain-websocket.ts";
import { createSocketWriter, createTurns } from "./socket-writer.ts";
import { bearerOf } from "./token.ts";
import { serveTrpcSocket } from "./trpc-websocket.ts";

export interface WebSocketDoorOptions extends SocketOptions {
  readonly server: Server;
}

export interface WebSocketDoor extends AsyncDisposable {
  /** Tells clients to reconnect, then closes their sockets with 1012; ends those that do not answer in 1 s. */
  close(): Promise<void>;
}

export function startWebSocketDoor(options: WebSocketDoorOptions): WebSocketDoor {
  const { server, logger, pingIntervalMs = 30_000, maxUnsentBytes = 1_048_576, maxSocketsPerKey = 4_500 } = options;
  const protocols = createProtocols(options);
  const seats = createSeats(maxSocketsPerKey);
  const turns = createTurns();
  const pinger = startPinger(() => clientsOf(protocols), pingIntervalMs);

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", (error) => logger.debug({ err: error }, "socket failed"));
    const outcome = admit(request, protocols, options);
    if (typeof outcome === "string") {
      const answer = `HTTP/1.1 ${outcome}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
      // The server no longer knows this socket: a caller who keeps it open would hold up the close for ever.
      socket.end(answer, () => socket.destroy());
      return;
    }
    const { url, wss, serve } = outcome;
    wss.handleUpgrade(request, socket, head, (ws) => {
      pinger.watch(ws);
      ws.on("close", (code) => logger.debug({ code }, "socket closed"));
      const writer = createSocketWriter({ ws, socket, maxUnsentBytes, turns });
      const takeSeat = () => seats.take(ws);
      serve({ ws, wss, request, url, writer, takeSeat, isAuthorized: isAuthorized(request, url, options) }, options);
    });
  };
  server.on("upgrade", onUpgrade);

  const close = async () => {
    server.off("upgrade", onUpgrade);
    pinger.stop();
    await closeSockets(protocols);
  };
  return { close, [Symbol.asyncDispose]: close };
}

/** What is spoken at a path. */
interface Protocol {
  readonly wss: WebSocketServer;
  readonly serve: (socket: OpenSocket, options: SocketOptions) => void;
  /** Sent to each socket before the daemon closes it as `restarting`. */
  readonly farewell?: string;
}

/** By path. */
type Protocols = ReadonlyMap<string, Protocol>;

function createProtocols({ maxBodyBytes }: SocketOptions): Protocols {
  const trpc: Protocol = {
    wss: new WebSocketServer({ noServer: true, maxPayload: maxBodyBytes }),
    serve: serveTrpcSocket,
    farewell: JSON.stringify({ id: null, method: "reconnect" }),
  };
  const plain: Protocol = {
    wss: new WebSocketServer({ noServer: true, maxPayload: maxClientFrameBytes }),
    serve: servePlainSocket,
  };
  return new Map([
    ["/trpc", trpc],
    ["/ws", plain],
  ]);
}

function clientsOf(protocols: Protocols): WebSocket[] {
  return [...protocols.values()].flatMap(({ wss }) => [...wss.clients]);
}

/** What to serve, or the status line of a refusal. */
function admit(
  request: IncomingMessage,
  protocols: Protocols,
  options: SocketOptions,
): (Protocol & { url: URL }) | string {
  const { guard, isDraining, logger, maxSockets = 5_000 } = options;
  const { host, origin } = request.headers;
  const refusal = guard.refusal({ host, origin });
  if (refusal) {
    logger.info({ host, origin, reason: refusal.message }, "socket refused");
    return "403 Forbidden";
  }
  const url = urlOf(request);
  const protocol = url && protocols.get(url.pathname);
  if (!protocol) return "404 Not Found";
  let sockets = 0;
  for (const { wss } of protocols.values()) sockets += wss.clients.size;
  return isDraining() || sockets >= maxSockets ? "503 Service Unavailable" : { ...protocol, url };
}

/** Undefined for a request target that is no path, such as `*` or a full URL. */
function urlOf(request: IncomingMessage): URL | undefined {
  return URL.parse(`http://localhost${request.url}`) ?? undefined;
}

function isAuthorized(request: IncomingMessage, url: URL, { isToken, tickets }: SocketOptions): boolean {
  if (isToken(bearerOf(request.headers.authorization))) return true;
  const ticket = url.searchParams.get("ticket");
  return ticket !== null && tickets.redeem(ticket);
}

/** Of the one key that there is: the daemon's token. */
function createSeats(max: number) {
  let taken = 0;
  return {
    take(ws: WebSocket): boolean {
      if (taken >= max) return false;
      taken += 1;
      ws.once("close", () => {
        taken -= 1;
      });
      return true;
    },
  };
}

/** Also ends sockets whose client has not read for that long, since its answer waits behind what it does not read. */
function startPinger(clients: () => WebSocket[], intervalMs: number) {
  const awaited = new WeakSet<WebSocket>();
  const timer = setInterval(() => {
    for (const ws of clients()) {
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

async function closeSockets(protocols: Protocols): Promise<void> {
  for (const { wss, farewell } of protocols.values()) {
    for (const ws of wss.clients) {
      if (farewell && ws.readyState === ws.OPEN) ws.send(farewell);
      ws.close(closeCodes.restarting, "the daemon is stopping");
    }
  }
  const open = clientsOf(protocols);
  const timer = setTimeout(() => {
    for (const ws of open) ws.terminate();
  }, 1_000);
  await Promise.all(open.map((ws) => new Promise((resolve) => ws.once("close", resolve))));
  clearTimeout(timer);
}
