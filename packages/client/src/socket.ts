/**
 * The one WebSocket of a client, which all subscriptions share, and calls where they travel over it.
 *
 * It opens with the first of them and closes shortly after the last, so that a program that is done can exit.
 * States: `idle` (nothing uses it) → `connecting` → `open` → after a cut `connecting` again, for as long as something
 * follows, else `idle`. tRPC's client moves the subscriptions to the new socket, each with the id of the last event it
 * had. A call that the cut left without an answer fails, and so does one that still waits for a socket when a try to
 * connect does: whether it is made again is decided where calls are made.
 *
 * The waits between tries are taken inside the `url` callback, since those that tRPC's client takes by itself cannot be
 * ended: a closed client would hold its process for that long.
 */
import type { AppRouter } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { createWSClient, TRPCClientError, type TRPCLink, type TRPCWebSocketClient } from "@trpc/client";
import { observable, type Unsubscribable } from "@trpc/server/observable";
import { backoffMs, delay } from "./delay.ts";

/** The WebSocket class of browsers and of Node 22 or newer, or that of the package `ws`. */
export type WebSocketClass = new (url: string | URL, protocols?: string | string[]) => { close(): void };

/** Where the client's WebSocket stands. `error` says why it is not open, as long as it tries again. */
export interface Connection {
  readonly state: "idle" | "connecting" | "open";
  readonly error?: KsiError | undefined;
}

export interface SocketOptions {
  url: URL;
  token: string | undefined;
  webSocket: WebSocketClass | undefined;
  onConnection: ((connection: Connection) => void) | undefined;
  /** How long it stays open when nothing uses it. */
  idleMs: number;
}

export interface Socket {
  readonly client: TRPCWebSocketClient;
  /** To be put before `wsLink`: counts what uses the socket. */
  readonly counting: TRPCLink<AppRouter>;
  readonly connection: Connection;
  /** Resolves when the socket is closed, or after 2 s if the other side does not answer. */
  close(): Promise<void>;
}

const connectDeadlineMs = 15_000;
const closeDeadlineMs = 2_000;
/** tRPC starts it together with the socket; ours closes much earlier. */
const never = 2 ** 31 - 1;

export function createSocket({ url, token, webSocket, onConnection, idleMs }: SocketOptions): Socket {
  const sockets = new Set<WebSocket>();
  let connection: Connection = { state: "idle" };
  let users = 0;
  let following = 0;
  let failures = 0;
  let idleTimer: ReturnType<typeof setTimeout> | undefined;
  let waiting = new AbortController();
  const Base = (webSocket as typeof WebSocket | undefined) ?? globalThis.WebSocket;

  const client = createWSClient({
    url: async () => {
      const { signal } = waiting;
      if (failures > 0) await delay(backoffMs(failures - 1), signal);
      if (signal.aborted) throw new KsiError("CANCELLED", "Nothing uses the WebSocket any more.");
      return url.href;
    },
    ...(token !== undefined && { connectionParams: { token } }),
    // A runtime without one (Node 20) can still make calls: what follows is refused below, before this class is used.
    WebSocket: Base ? trackedClass(Base, sockets, { onOpen, onLost }) : (Object as unknown as typeof WebSocket),
    retryDelayMs: () => 0,
    lazy: { enabled: true, closeMs: never },
    // A consumer that blocks its thread for some seconds must not look like a dead connection.
    keepAlive: { enabled: true, intervalMs: 15_000, pongTimeoutMs: 10_000 },
  });

  client.connectionState.subscribe({
    next: ({ state, error }) =>
      tell({ state: state === "pending" ? "open" : state, ...(error && { error: unreachable(url, error) }) }),
  });

  function tell(next: Connection) {
    if (next.state === connection.state && !next.error) return;
    connection = next;
    onConnection?.(connection);
  }

  // tRPC tells nothing of a socket that is closed in order while nothing follows, nor of the one that takes its place.
  function onOpen() {
    tell({ state: "open" });
  }

  function onLost() {
    failures++;
    if (following === 0 && connection.state === "open") tell({ state: "idle" });
  }

  async function close() {
    clearTimeout(idleTimer);
    failures = 0;
    const open = [...sockets];
    sockets.clear();
    const allClosed = Promise.all([client.close(), ...open.map(closeEvent)]);
    waiting.abort();
    for (const socket of open) socket.close();
    const isClosed = new AbortController();
    await Promise.race([allClosed.finally(() => isClosed.abort()), delay(closeDeadlineMs, isClosed.signal)]);
  }

  const counting: TRPCLink<AppRouter> =
    () =>
    ({ op, next }) =>
      observable((observer) => {
        if (!Base) return observer.error(TRPCClientError.from(noWebSocket()));
        const isCall = op.type !== "subscription";
        let subscription: Unsubscribable | undefined;
        let tries: Unsubscribable | undefined;
        clearTimeout(idleTimer);
        if (users++ === 0 && waiting.signal.aborted) waiting = new AbortController();
        if (!isCall) following++;
        const leave = () => {
          tries?.unsubscribe();
          subscription?.unsubscribe();
          if (!isCall) following--;
          if (--users === 0) idleTimer = setTimeout(() => void close(), idleMs);
        };
        try {
          subscription = next(op).subscribe({
            ...observer,
            next(envelope) {
              // An open socket proves little: a proxy may accept it and then find no daemon.
              if (envelope.result.type !== "state") failures = 0;
              observer.next(envelope);
            },
          });
        } catch (thrown) {
          leave();
          throw thrown;
        }
        if (isCall) tries = whenTryFails((error) => observer.error(TRPCClientError.from(unreachable(url, error))));
        return leave;
      });

  /** From now on: a failure of before is told at once by what tRPC calls a behavior subject. */
  function whenTryFails(listener: (error: unknown) => void): Unsubscribable {
    let isNew = false;
    const subscription = client.connectionState.subscribe({
      next({ error }) {
        if (isNew && error) listener(error);
      },
    });
    isNew = true;
    return subscription;
  }

  return {
    client,
    counting,
    get connection() {
      return connection;
    },
    close,
  };
}

/** The class with a deadline for the connect, since a host that swallows packets would hold the first try for minutes. */
function trackedClass(
  Base: typeof WebSocket,
  sockets: Set<WebSocket>,
  { onOpen, onLost }: { onOpen: () => void; onLost: () => void },
): typeof WebSocket {
  return class extends Base {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.add(this);
      const deadline = setTimeout(() => this.close(), connectDeadlineMs);
      void retellEarlyError(this);
      this.addEventListener("open", () => {
        clearTimeout(deadline);
        onOpen();
      });
      this.addEventListener("close", () => {
        clearTimeout(deadline);
        // Those that the client closed by itself are gone from the set.
        if (sockets.delete(this)) onLost();
      });
    }
  };
}

/**
 * Node tells within the same task that it connects to no such port (6000, say), before tRPC's client listens, which
 * would then wait for ever. What a network says comes in a later task, and is heard.
 */
async function retellEarlyError(socket: WebSocket): Promise<void> {
  let isEarly = false;
  const onError = () => {
    isEarly = true;
  };
  socket.addEventListener("error", onError);
  for (let microtask = 0; microtask < 10; microtask++) await Promise.resolve();
  socket.removeEventListener("error", onError);
  if (isEarly) setTimeout(() => socket.dispatchEvent(new Event("error")));
}

function noWebSocket(): KsiError {
  return new KsiError(
    "INVALID_INPUT",
    "webSocket: this runtime has no WebSocket, which this needs. Pass a class such as that of the package `ws`.",
  );
}

function closeEvent(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => socket.addEventListener("close", () => resolve(), { once: true }));
}

function unreachable({ host }: URL, cause: unknown): KsiError {
  return new KsiError(
    "CONNECTION_LOST",
    `The WebSocket to the KSI daemon at ${host} is not open; trying again. See whether the daemon runs.`,
    { cause },
  );
}
