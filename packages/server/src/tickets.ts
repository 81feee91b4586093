/**
 * Tickets: what a browser shows instead of the token where it cannot send a header (WebSocket, EventSource). A URL
 * ends up in logs and histories, so what it carries works once and for 30 seconds.
 */
import { randomBytes } from "node:crypto";
import { KsiError } from "@ksi/contract/errors";

export interface Ticket {
  readonly ticket: string;
  readonly expires_in_ms: number;
}

export interface Tickets {
  /** `RATE_LIMITED` while too many are waiting to be used. */
  issue(): Ticket;
  /** True once for each ticket, until it expires. */
  redeem(ticket: string): boolean;
}

export interface TicketOptions {
  /** A clock in ms that never goes back. Default: `performance.now`. */
  now?: () => number;
  /** Default 30,000. */
  lifeMs?: number;
  /** Tickets waiting to be used. Default 1,000. */
  max?: number;
}

export function createTickets(options: TicketOptions = {}): Tickets {
  const { now = () => performance.now(), lifeMs = 30_000, max = 1_000 } = options;
  /** In the order of issue, which is that of expiry. */
  const expiries = new Map<string, number>();

  function dropExpired(): void {
    for (const [ticket, expiry] of expiries) {
      if (expiry > now()) return;
      expiries.delete(ticket);
    }
  }

  return {
    issue() {
      dropExpired();
      if (expiries.size >= max) {
        throw new KsiError("RATE_LIMITED", `There are ${max} unused tickets. Wait until some have expired.`, {
          details: { retry_after_ms: lifeMs },
        });
      }
      const ticket = randomBytes(32).toString("base64url");
      expiries.set(ticket, now() + lifeMs);
      return { ticket, expires_in_ms: lifeMs };
    },
    redeem(ticket) {
      const expiry = expiries.get(ticket);
      expiries.delete(ticket);
      return expiry !== undefined && expiry > now();
    },
  };
}
