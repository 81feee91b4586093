/** What every door needs to let a caller in. */
import type { Health, Ports } from "@ksi/contract";
import type { Logger } from "./logger.ts";
import type { RequestGuard } from "./request-guard.ts";
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
  /** Calls in one tRPC batch over HTTP. Clients pair it with `maxItems`. */
  readonly maxBatchSize: number;
}
