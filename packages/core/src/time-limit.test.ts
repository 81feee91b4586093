import { getEventListeners, once } from "node:events";
import { expect, test, vi } from "vitest";
import { startTimeLimit } from "./time-limit.ts";

test("it aborts when the time is over, or with the other signal", async () => {
  using short = startTimeLimit(1);
  await once(short.signal, "abort");
  const outer = new AbortController();
  using long = startTimeLimit(60_000, outer.signal);
  expect(long.signal.aborted).toBe(false);
  outer.abort();
  expect(long.signal.aborted).toBe(true);
  using late = startTimeLimit(60_000, outer.signal);
  expect(late.signal.aborted).toBe(true);
});

test("given back, it leaves neither a timer nor a listener", () => {
  vi.useFakeTimers();
  const outer = new AbortController();
  {
    using _ = startTimeLimit(60_000, outer.signal);
    expect(vi.getTimerCount()).toBe(1);
    expect(getEventListeners(outer.signal, "abort").length).toBe(1);
  }
  expect(vi.getTimerCount()).toBe(0);
  expect(getEventListeners(outer.signal, "abort").length).toBe(0);
  vi.useRealTimers();
});
