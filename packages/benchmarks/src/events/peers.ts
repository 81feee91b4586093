/** Who serves events to subscribers, and what is spoken with each over a WebSocket. */

export const peerNames = ["ours", "socket.io", "stock tRPC", "plain ws"] as const;
export type PeerName = (typeof peerNames)[number];

/** For the table. */
export const peerTitles: Record<Exclude<PeerName, "ours">, string> = {
  "socket.io": "socket.io 4.8.4, redis-streams-adapter 0.3.1",
  "stock tRPC": "tRPC 11.25.2, its own ws adapter, superjson, tracked()",
  "plain ws": "plain ws 8.23.0, one encode an event: the floor",
};

export const serverPrograms: Record<PeerName, URL> = {
  ours: new URL("./server-ours.ts", import.meta.url),
  "socket.io": new URL("./server-socket-io.ts", import.meta.url),
  "stock tRPC": new URL("./server-stock-trpc.ts", import.meta.url),
  "plain ws": new URL("./server-plain-ws.ts", import.meta.url),
};

export interface Wire {
  readonly path: string;
  /** What a client says once it is connected; with the id of the last event it has, if it had any. */
  greeting(lastEventId?: string): string | undefined;
  /** What the server says when the subscriber is in. Undefined where to be connected is enough. */
  readonly welcome: RegExp | undefined;
  /** What the client answers to a frame, for servers that ask whether it is still there. */
  readonly pings?: { readonly from: string; readonly answer: string };
}

const trpc: Wire = {
  path: "/trpc",
  greeting: (lastEventId) =>
    JSON.stringify({
      id: 1,
      method: "subscription",
      params: { path: "events.subscribe", input: { json: lastEventId === undefined ? {} : { lastEventId } } },
    }),
  welcome: /"started"/,
};

export const wires: Record<PeerName, Wire> = {
  ours: trpc,
  "stock tRPC": trpc,
  "socket.io": {
    path: "/socket.io/?EIO=4&transport=websocket",
    greeting: () => "40",
    welcome: /^40/,
    pings: { from: "2", answer: "3" },
  },
  "plain ws": { path: "/", greeting: () => undefined, welcome: undefined },
};

/** The cursor in a frame of tRPC's that carries an event. */
export function cursorOf(frame: string): string {
  const { result } = JSON.parse(frame) as { result: { id?: string; data: { json: { id: string } } } };
  return result.data.json.id;
}
