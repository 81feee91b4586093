import { getRequestListener } from "@hono/node-server";
import type { AppRouter, Health, Ports } from "@ksi/contract";
import { createTRPCClient, createWSClient, httpBatchLink, splitLink, type TRPCClient, wsLink } from "@trpc/client";
import superjson from "superjson";
import type { HttpDoorOptions } from "../doors.ts";
import { createHttpApp } from "../http.ts";
import { startListener } from "../listener.ts";
import type { Logger } from "../logger.ts";
import { createRequestGuard } from "../request-guard.ts";
import { createTickets, type Tickets } from "../tickets.ts";
import { createTokenCheck } from "../token.ts";
import { startWebSocketDoor, type WebSocketDoor, type WebSocketDoorOptions } from "../websocket.ts";
import { createFakePorts } from "./fake-ports.ts";

type DoorOptions = Omit<WebSocketDoorOptions & HttpDoorOptions, "ports" | "server" | "closing">;

export interface TestDoorsOptions extends Partial<DoorOptions> {
  ports?: Parameters<typeof createFakePorts>[0];
  allowedHosts?: string[];
  allowedOrigins?: string[];
}

export interface TestDoors extends AsyncDisposable {
  readonly url: string;
  /** `ws://…/trpc` */
  readonly socketUrl: string;
  /** `ws://…/ws` */
  readonly plainUrl: string;
  readonly token: string;
  readonly ports: Ports;
  readonly tickets: Tickets;
  readonly webSocketDoor: WebSocketDoor;
  /** Ends event streams, as a daemon that closes does. */
  readonly closing: AbortController;
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[];
}

/** Both doors on a free port, with hand-made ports behind them. */
export async function startTestDoors(options: TestDoorsOptions = {}): Promise<TestDoors> {
  const token = "a-token-for-tests-only";
  const logged: TestDoors["logged"] = [];
  const logger = createListLogger(logged);
  const ports = createFakePorts(options.ports);
  const health = async (): Promise<Health> => ({ status: "ok", redis_ping_ms: 0, version: "0.0.0" });
  const tickets = createTickets();
  const listener = await startListener({ host: "127.0.0.1", port: 0, logger });
  const doors = {
    health,
    tickets,
    logger,
    isToken: createTokenCheck(token),
    isDraining: () => false,
    maxBodyBytes: 100_000,
    maxBatchSize: 10,
    requestsPerMinute: 0,
    waitMaxMs: 30_000,
    debug: false,
    guard: createRequestGuard({
      host: "127.0.0.1",
      allowed_hosts: options.allowedHosts ?? [],
      allowed_origins: options.allowedOrigins ?? [],
    }),
    ...options,
    ports,
  };
  const closing = new AbortController();
  const app = createHttpApp({ ...doors, closing: closing.signal });
  listener.serve(getRequestListener(app.fetch));
  const webSocketDoor = startWebSocketDoor({ ...doors, server: listener.server });
  return {
    url: listener.url,
    socketUrl: `${listener.url.replace("http", "ws")}/trpc`,
    plainUrl: `${listener.url.replace("http", "ws")}/ws`,
    token,
    ports,
    tickets,
    webSocketDoor,
    logged,
    closing,
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      await webSocketDoor.close();
      await listener.close(0);
    },
  };
}

function createListLogger(logged: TestDoors["logged"]): Logger {
  const log = (level: string) => (fields: object, message: string) => {
    logged.push({ level, fields: { ...fields }, message });
  };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

export interface TestClient extends AsyncDisposable {
  readonly trpc: TRPCClient<AppRouter>;
}

/** The official client: subscriptions (and with `overSocket` all calls) over WebSocket, the rest over HTTP. */
export function createTestClient(options: { url: string; token?: string; overSocket?: boolean }): TestClient {
  const { url, token, overSocket = false } = options;
  const socket = createWSClient({
    url: `${url.replace("http", "ws")}/trpc`,
    lazy: { enabled: true, closeMs: 0 },
    connectionParams: token ? { token } : null,
  });
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const trpc = createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => overSocket || type === "subscription",
        true: wsLink({ client: socket, transformer: superjson }),
        false: httpBatchLink({ url: `${url}/trpc`, headers, transformer: superjson }),
      }),
    ],
  });
  return { trpc, [Symbol.asyncDispose]: () => socket.close() };
}
