/** Holds back what is sent to a client that does not read; `ws` itself buffers without limit. */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { WhenWritable } from "./pace-follows.ts";

interface BrakeOptions {
  ws: WebSocket;
  /** What is below it. */
  socket: Duplex;
  /** More than this may not wait unsent. */
  maxUnsentBytes: number;
}

/** All that wait share one pair of listeners. A socket that closed lets them go on. */
export function createBrake({ ws, socket, maxUnsentBytes }: BrakeOptions): WhenWritable {
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
