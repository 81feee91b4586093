/** A program: socket.io with its adapter for Redis Streams, which hands messages on to rooms, one for each agent. */
import { randomUUID } from "node:crypto";
import { listenWithSocketIo } from "../events/listen-socket-io.ts";
import { answerAsServer } from "../events/server.ts";
import type { BenchMessage } from "./bench-message.ts";

const ackMs = 10_000;
const eventPacket = 2;

answerAsServer(async (options) => {
  const { io, access } = await listenWithSocketIo(options);
  io.on("connection", (socket) => {
    const { agent } = socket.handshake.auth;
    if (agent !== undefined) void socket.join(agent);
    socket.on("send", (message: BenchMessage, isAcked: boolean, answer: (problem?: string) => void) => {
      const whole = { id: randomUUID(), timestamp: new Date().toISOString(), ...message };
      if (!isAcked) {
        // What `io.to(…).emit` does, which does not tell when the message is in Redis.
        const packet = { type: eventPacket, data: ["message", whole] };
        const to = { rooms: new Set([message.target]), except: new Set<string>(), flags: {} };
        const stored: unknown = io.of("/").adapter.broadcast(packet, to);
        return void Promise.resolve(stored).then(() => answer());
      }
      io.to(message.target)
        .timeout(ackMs)
        .emit("message", whole, (error: Error | null, answers: unknown[]) => {
          if (error || answers.length !== 1) answer(`${answers.length} acknowledged: ${error?.message}`);
          else answer();
        });
    });
  });
  return access;
});
