/** A program: the least that a server with `ws` can do. What one append published is encoded once and sent corked. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { followBareLog } from "./bare-log.ts";
import { connectTo } from "./bench-redis.ts";
import { answerAsServer } from "./server.ts";

const subscribers = new Map<WebSocket, Duplex>();

answerAsServer(async ({ redisPath, port }) => {
  await followBareLog(connectTo(redisPath), (batch) => {
    const frames = batch.map(({ json }) => Buffer.from(json));
    for (const [ws, socket] of subscribers) {
      socket.cork();
      for (const frame of frames) ws.send(frame, { binary: false });
      socket.uncork();
    }
  });
  const server = createServer();
  new WebSocketServer({ server }).on("connection", (ws, { socket }) => {
    subscribers.set(ws, socket);
    ws.on("close", () => subscribers.delete(ws));
    ws.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers: {} };
});
