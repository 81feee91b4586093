/** A program: tRPC as its documentation has it. One Redis subscription, one emitter, a generator for each subscriber. */
import { EventEmitter, on } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { initTRPC, tracked } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import superjson from "superjson";
import { WebSocketServer } from "ws";
import { followBareLog } from "./bare-log.ts";
import { connectTo } from "./bench-redis.ts";
import { answerAsServer } from "./server.ts";

const t = initTRPC.create({ transformer: superjson });
const events = new EventEmitter().setMaxListeners(0);

const router = t.router({
  events: t.router({
    subscribe: t.procedure.subscription(async function* ({ signal }) {
      for await (const [id, event] of on(events, "event", signal ? { signal } : {})) yield tracked(id, event);
    }),
  }),
});

answerAsServer(async ({ redisPath, port }) => {
  await followBareLog(connectTo(redisPath), (batch) => {
    for (const { id, json } of batch) events.emit("event", id, JSON.parse(json));
  });
  const server = createServer();
  applyWSSHandler({ wss: new WebSocketServer({ server }), router });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers: {} };
});
