/**
 * Messages through socket.io: an event to the server, which emits it to the room of the agent. The client speaks as much of
 * the protocol as that takes, on a socket that costs less than that of the official client.
 */
import { openRawSocket } from "../events/raw-socket.ts";
import type { Access } from "../events/server.ts";
import type { BenchMessage } from "./bench-message.ts";
import type { Hearing, Place, Receivers, Sender } from "./peer.ts";

export async function openSocketIoSender({ access }: Place): Promise<Sender> {
  const waiting = new Map<number, PromiseWithResolvers<void>>();
  let calls = 0;
  const socket = await connect(access, {
    auth: {},
    onEvent: () => undefined,
    onAnswer(id, [problem]) {
      const call = waiting.get(id);
      waiting.delete(id);
      if (problem) call?.reject(new Error(String(problem)));
      else call?.resolve();
    },
  });
  return {
    async send(message, { isAcked }) {
      const id = ++calls;
      const call = Promise.withResolvers<void>();
      waiting.set(id, call);
      socket.send(`42${id}${JSON.stringify(["send", message, isAcked])}`);
      await call.promise;
    },
  };
}

export async function openSocketIoReceivers(
  { access }: Place,
  agents: readonly string[],
  hearing: Hearing,
): Promise<Receivers> {
  await Promise.all(
    agents.map(async (agent, i) => {
      const socket = await connect(access, {
        auth: { agent },
        onAnswer: () => undefined,
        onEvent([, message], id) {
          hearing.onMessage(i, message as BenchMessage);
          if (id === undefined) return;
          socket.send(`43${id}[]`);
          // Nobody answers an answer: the sender's call tells whether it came.
          hearing.onAcked(1);
        },
      });
    }),
  );
  return {
    follow: async () => undefined,
    settle: async () => undefined,
  };
}

interface Handlers {
  /** What the server is told of the client when it connects. */
  auth: object;
  /** `id` where the server waits for an answer. */
  onEvent(args: unknown[], id: number | undefined): void;
  onAnswer(id: number, args: unknown[]): void;
}

/** Types of packets (`4` is a message of engine.io's): connected, event, acknowledgement. */
const packet = /^4([023])(\d*)/;

async function connect({ url, headers }: Access, { auth, onEvent, onAnswer }: Handlers) {
  const connected = Promise.withResolvers<void>();
  const socket = await openRawSocket({
    url: `${url}/socket.io/?EIO=4&transport=websocket`,
    headers,
    onText(data, start, end) {
      const text = data.toString("utf8", start, end);
      if (text === "2") return socket.send("3");
      const [head, type, id] = packet.exec(text) ?? [];
      if (head === undefined) return;
      if (type === "0") return connected.resolve();
      const args = JSON.parse(text.slice(head.length)) as unknown[];
      if (type === "3") onAnswer(Number(id), args);
      else onEvent(args, id === "" ? undefined : Number(id));
    },
  });
  socket.send(`40${JSON.stringify(auth)}`);
  await connected.promise;
  return socket;
}
