import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startTiming } from "./timing.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

test("what is not the agent's time is KSI's: before it started, and after it ended", () => {
  const timing = startTiming();
  vi.advanceTimersByTime(10);
  expect(timing.headers()).toEqual({ "openai-processing-ms": "10", "x-ksi-overhead-ms": "10.0" });

  timing.started();
  vi.advanceTimersByTime(500);
  expect(timing.headers()).toEqual({ "openai-processing-ms": "510", "x-ksi-overhead-ms": "10.0" });

  timing.ended();
  vi.advanceTimersByTime(5.5);
  expect(timing.headers()).toEqual({ "openai-processing-ms": "516", "x-ksi-overhead-ms": "15.5" });
});
