/**
 * tRPC on a socket.
 *
 * A socket is *authorized* from its upgrade (Authorization header or `?ticket=`), or *waiting* when it announced
 * connectionParams (`?connectionParams=1`), or *unauthorized*. A waiting one becomes authorized or unauthorized by
 * its first message, and is closed with 4408 when that does not come in time. One too many of its key is closed with
 * 4429. An unauthorized one has its calls
 * answered with `UNAUTHORIZED`, so that clients can tell their user, and is closed with 4401 a moment later.
 */
import { appRouter, type Context } from "@ksi/contract";
import { getWSConnectionHandler } from "@trpc/server/adapters/ws";
import type { WebSocket } from "ws";
import { closeCodes } from "./close-codes.ts";
import type { OpenSocket, SocketOptions } from "./doors.ts";
import { logCallError } from "./log-call-error.ts";
import { createTrpcFollows } from "./trpc-follows.ts";

export function serveTrpcSocket(open: OpenSocket, options: SocketOptions): void {
  const { ws, wss, request, url, writer } = open;
  const { logger, health, maxSubscriptions = 1_000 } = options;
  const { ports, encoder } = createTrpcFollows({ ports: options.ports, writer, maxSubscriptions });
  const deadline = createDeadline(ws, options);
  if (url.searchParams.get("connectionParams") === "1") deadline.awaitConnectionParams();

  ws.on("message", () => {
    const writable = writer.whenWritable();
    if (!writable) return;
    // Who does not read answers is not asked for more calls.
    ws.pause();
    void writable.then(() => ws.resume());
  });
  ws.on("close", () => deadline.clear());

  getWSConnectionHandler({
    wss,
    router: appRouter,
    // No maxBatchSize: a client that reconnects sends all its subscriptions in one frame, whose bytes are limited.
    createContext: ({ info }): Context => {
      const isAuthorized = open.isAuthorized || options.isToken(info.connectionParams?.token);
      if (isAuthorized) deadline.clear();
      else deadline.refuse();
      if (isAuthorized && !open.takeSeat()) ws.close(closeCodes.tooManySockets, "the key has too many sockets");
      return { health, ports: isAuthorized ? ports : undefined };
    },
    experimental_encoder: encoder,
    onError: ({ error, path }) => logCallError(logger, error, { procedure: path }),
  })(ws, request);
}

/** Closes a socket that does not become authorized. */
function createDeadline(ws: WebSocket, options: SocketOptions) {
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
