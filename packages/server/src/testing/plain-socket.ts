import { once } from "node:events";
import { type ClientOptions, WebSocket } from "ws";

export interface PlainSocket {
  readonly socket: WebSocket;
  /** All that came, parsed. */
  readonly frames: Record<string, unknown>[];
  readonly closed: Promise<{ code: number; reason: string }>;
}

/** Listens from the first byte on: `/ws` speaks as soon as it is open. */
export function connectPlainSocket(url: string, options: ClientOptions = {}): PlainSocket {
  const socket = new WebSocket(url, options);
  const frames: Record<string, unknown>[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  const closed = once(socket, "close").then(([code, reason]) => ({ code: Number(code), reason: String(reason) }));
  return { socket, frames, closed };
}
