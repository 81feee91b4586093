/** A program: socket.io with its adapter for Redis Streams. Its events come from another node. */
import { listenWithSocketIo } from "./listen-socket-io.ts";
import { answerAsServer } from "./server.ts";

answerAsServer(async (options) => (await listenWithSocketIo(options)).access);
