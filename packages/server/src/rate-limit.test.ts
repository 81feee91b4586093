import { expect, test } from "vitest";
import { createRateLimit, type RateLimit, rateLimitHeaders } from "./rate-limit.ts";

function limitOf(requestsPerMinute: number) {
  const clock = { ms: 0 };
  return { clock, rateLimit: createRateLimit({ requestsPerMinute, now: () => clock.ms }) };
}

function takeMany(rateLimit: RateLimit, count: number): void {
  for (let taken = 0; taken < count; taken++) rateLimit.take();
}

test("a minute's worth passes at once, the next is told how long to wait, and passes then", () => {
  const { clock, rateLimit } = limitOf(120);
  takeMany(rateLimit, 120);
  expect(() => rateLimit.take()).toThrow(
    expect.objectContaining({ code: "RATE_LIMITED", details: { retry_after_ms: 500 } }),
  );
  clock.ms += 499;
  expect(() => rateLimit.take()).toThrow(expect.objectContaining({ details: { retry_after_ms: 1 } }));
  clock.ms += 1;
  rateLimit.take();
  expect(() => rateLimit.take()).toThrow("120 requests a minute");
});

test("room comes back evenly, and never more than a minute's worth", () => {
  const { clock, rateLimit } = limitOf(60);
  takeMany(rateLimit, 60);
  clock.ms += 10_000;
  expect(rateLimit.state()).toEqual({ limit: 60, remaining: 10, resetMs: 50_000 });
  clock.ms += 3_600_000;
  expect(rateLimit.state()).toEqual({ limit: 60, remaining: 60, resetMs: 0 });
});

test("a limit of 0 is none, and has no headers", () => {
  const { rateLimit } = limitOf(0);
  takeMany(rateLimit, 1_000);
  expect(rateLimit.state()).toBeUndefined();
  expect(rateLimitHeaders(rateLimit)).toEqual({});
});

test.each([
  [6_000, 2, "20ms"],
  [60, 1, "1s"],
  [60, 59, "59s"],
  [60, 60, "1m0s"],
  [10, 10, "1m0s"],
  [7, 1, "9s"],
])("with a limit of %d and %d taken, the reset header is %s", (limit, taken, reset) => {
  const { rateLimit } = limitOf(limit);
  takeMany(rateLimit, taken);
  expect(rateLimitHeaders(rateLimit)).toEqual({
    "x-ratelimit-limit-requests": String(limit),
    "x-ratelimit-remaining-requests": String(limit - taken),
    "x-ratelimit-reset-requests": reset,
  });
});
