/**
 * How many requests a minute are taken, as a token bucket: it holds a minute's worth, so a burst passes that a counter
 * per second would cut, and it fills evenly, so nobody waits for the turn of a minute.
 */
import { KsiError } from "@ksi/contract/errors";

const msPerMinute = 60_000;

export interface RateLimit {
  /** Counts one request. `RATE_LIMITED` with `details.retry_after_ms` when there is no room for it. */
  take(): void;
  /** Undefined without a limit. */
  state(): RateLimitState | undefined;
}

export interface RateLimitState {
  /** Requests a minute. */
  readonly limit: number;
  /** Requests that would pass now. */
  readonly remaining: number;
  /** Until all of the limit is there again, if nobody calls. */
  readonly resetMs: number;
}

export interface RateLimitOptions {
  /** 0 is no limit. */
  requestsPerMinute: number;
  /** A clock in ms that never goes back. Default: `performance.now`. */
  now?: () => number;
}

export function createRateLimit(options: RateLimitOptions): RateLimit {
  const { requestsPerMinute: limit, now = () => performance.now() } = options;
  if (limit === 0) return { take: () => undefined, state: () => undefined };
  // A request takes 60,000 parts of the room, and `limit` parts come back each ms: whole numbers, which do not drift.
  const clock = () => Math.floor(now());
  const capacity = limit * msPerMinute;
  let room = capacity;
  let filledAt = clock();

  function fill(): void {
    const at = clock();
    room = Math.min(capacity, room + (at - filledAt) * limit);
    filledAt = at;
  }

  return {
    take() {
      fill();
      if (room < msPerMinute) {
        throw new KsiError("RATE_LIMITED", `The daemon takes ${limit} requests a minute, and there were more.`, {
          details: { retry_after_ms: Math.ceil((msPerMinute - room) / limit) },
        });
      }
      room -= msPerMinute;
    },
    state() {
      fill();
      return {
        limit,
        remaining: Math.floor(room / msPerMinute),
        resetMs: Math.ceil((capacity - room) / limit),
      };
    },
  };
}

/** What OpenAI tells with every answer; nothing without a limit. */
export function rateLimitHeaders(rateLimit: RateLimit): Record<string, string> {
  const state = rateLimit.state();
  if (!state) return {};
  return {
    "x-ratelimit-limit-requests": String(state.limit),
    "x-ratelimit-remaining-requests": String(state.remaining),
    "x-ratelimit-reset-requests": formatDuration(state.resetMs),
  };
}

/** As OpenAI writes them: `20ms`, `1s`, `6m0s`. */
function formatDuration(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
