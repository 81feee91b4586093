/** What every door needs to let a caller in. */
import type { IncomingMessage } from "node:http";
import type { Health, Ports } from "@ksi/contract";
import type { WebSocket, WebSocketServer } from "ws";
import type { Logger } from "./logger.ts";
import type { RequestGuard } from "./request-guard.ts";
import type { SocketWriter } from "./socket-writer.ts";
import type { Tickets } from "./tickets.ts";

export interface DoorOptions {
  readonly ports: Ports;
  readonly health: () => Promise<Health>;
  readonly guard: RequestGuard;
  readonly isToken: (candidate: string | undefined) => boolean;
  readonly tickets: Tickets;
  /** While true, new sockets are refused and `/ready` is 503. */
  readonly isDraining: () => boolean;
  readonly logger: Logger;
  /** Of one HTTP body or WebSocket frame. */
  readonly maxBodyBytes: number;
}

/** What the HTTP door is told beside that. */
export interface HttpDoorOptions extends DoorOptions {
  /** Calls in one tRPC batch. Clients pair it with `maxItems`. */
  readonly maxBatchSize: number;
  /** Of all authorized requests together; 0 is no limit. */
  readonly requestsPerMinute: number;
  /** How long a request of the OpenAI routes may wait for its run. */
  readonly waitMaxMs: number;
  /** Adds the cause to `INTERNAL` answers outside procedures. */
  readonly debug: boolean;
  /** When it aborts, open event streams end in peace: their clients resume elsewhere or later. */
  readonly closing: AbortSignal;
  /** How long a client may go on sending a body that was refused. Default 5,000. */
  readonly lingerMs?: number;
}

/** What the WebSocket door can be told beside that. */
export interface SocketOptions extends DoorOptions {
  /** For connectionParams to arrive. Default 5,000. */
  readonly connectionParamsTimeoutMs?: number;
  /** From the refusal of a token to the close. Default 1,000. */
  readonly unauthorizedGraceMs?: number;
  /** A socket that gives no sign of life between two pings is ended. Default 30,000. */
  readonly pingIntervalMs?: number;
  /** Further sockets are refused with 503. Default 5,000. */
  readonly maxSockets?: number;
  /** Of one key; further ones are closed with 4429. Default 4,500, so that some are left for whoever has yet to say who it is. */
  readonly maxSocketsPerKey?: number;
  /** Open at one time on one socket. A further one is `RATE_LIMITED`. Default 1,000. */
  readonly maxSubscriptions?: number;
  /** What may wait unsent in a socket before its subscriptions and its calls wait too. Default 1 MiB. */
  readonly maxUnsentBytes?: number;
}

/** A socket whose upgrade was accepted. */
export interface OpenSocket {
  readonly ws: WebSocket;
  readonly wss: WebSocketServer;
  readonly request: IncomingMessage;
  readonly url: URL;
  /** Its upgrade carried the token or a ticket. */
  readonly isAuthorized: boolean;
  readonly writer: SocketWriter;
  /** To be called once it is authorized: false where its key has as many sockets as it may have. */
  takeSeat(): boolean;
}
