/** A program: socket.io with its adapter for Redis Streams, and the recovery of what was missed, which that is for. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Server } from "socket.io";
import { connectTo } from "./bench-redis.ts";
import { answerAsServer } from "./server.ts";

answerAsServer(async ({ redisPath, port }) => {
  const server = createServer();
  new Server(server, {
    adapter: createAdapter(connectTo(redisPath)),
    connectionStateRecovery: {},
    // Fewer bytes on the wire and less to do for each frame.
    perMessageDeflate: false,
    serveClient: false,
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers: {} };
});
