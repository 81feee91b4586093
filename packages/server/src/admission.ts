/**
 * Who gets in over HTTP, and how often.
 *
 * Only who has shown the token is counted: otherwise a stranger's guesses would use up the room of those who may call,
 * and they need no limit of their own, since a token of 256 bits is not guessed and refusing costs next to nothing.
 */
import { KsiError, type Ports, unauthorized } from "@ksi/contract";
import type { DoorOptions } from "./doors.ts";
import { createRateLimit, rateLimitHeaders } from "./rate-limit.ts";
import { bearerOf } from "./token.ts";

export interface Admission {
  /** The ports for a request that shows the token; undefined for any other. `RATE_LIMITED` when it comes too often. */
  admit(request: Request): Ports | undefined;
  /**
   * The same for a stream of events, which may show a ticket instead, since EventSource can send no header. It is not
   * counted: an EventSource that is refused does not try again. `UNAUTHORIZED` for a ticket that opens nothing.
   */
  admitStream(request: Request): Ports | undefined;
  /** The same for calls that need the token: `UNAUTHORIZED` without one. */
  requirePorts(request: Request): Ports;
  /** `x-ratelimit-…`, for requests that show the token. */
  rateLimitHeaders(request: Request): Record<string, string>;
}

export interface AdmissionOptions extends Pick<DoorOptions, "ports" | "isToken" | "tickets"> {
  /** 0 is no limit. */
  readonly requestsPerMinute: number;
}

export function createAdmission({ ports, isToken, tickets, requestsPerMinute }: AdmissionOptions): Admission {
  const rateLimit = createRateLimit({ requestsPerMinute });
  const showsToken = (request: Request) => isToken(bearerOf(request.headers.get("authorization")));

  function admit(request: Request): Ports | undefined {
    if (!showsToken(request)) return undefined;
    rateLimit.take();
    return ports;
  }

  return {
    admit,
    admitStream(request) {
      if (showsToken(request)) return ports;
      const ticket = new URL(request.url).searchParams.get("ticket");
      if (ticket === null) return undefined;
      if (tickets.redeem(ticket)) return ports;
      throw new KsiError(
        "UNAUTHORIZED",
        "This ticket is unknown, used or expired. POST /api/v1/tickets gives another.",
      );
    },
    requirePorts(request) {
      const admitted = admit(request);
      if (!admitted) throw unauthorized();
      return admitted;
    },
    rateLimitHeaders: (request) => (showsToken(request) ? rateLimitHeaders(rateLimit) : {}),
  };
}
