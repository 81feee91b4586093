/** Socket.io with its adapter for Redis Streams, and the recovery of what was missed, which that is for. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Server } from "socket.io";
import { connectTo } from "./bench-redis.ts";
import type { Access, StartServer } from "./server.ts";

export async function listenWithSocketIo({ redisPath, port }: StartServer): Promise<{ io: Server; access: Access }> {
  const server = createServer();
  const io = new Server(server, {
    adapter: createAdapter(connectTo(redisPath)),
    connectionStateRecovery: {},
    // Fewer bytes on the wire and less to do for each frame.
    perMessageDeflate: false,
    serveClient: false,
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { io, access: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, headers: {} } };
}
