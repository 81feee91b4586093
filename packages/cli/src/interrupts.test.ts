import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listenForInterrupts } from "./interrupts.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the first interrupt aborts; its echo from npm is not taken for a second; a second leaves at once", () => {
  const leave = vi.fn();
  using interrupts = listenForInterrupts(leave);
  process.emit("SIGINT");
  expect(interrupts.signal.aborted).toBe(true);
  process.emit("SIGINT");
  expect(leave).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  process.emit("SIGINT");
  expect(leave).toHaveBeenCalledOnce();
});

test("nothing listens after the command is done", () => {
  const before = process.listenerCount("SIGINT");
  listenForInterrupts(() => {})[Symbol.dispose]();
  expect(process.listenerCount("SIGINT")).toBe(before);
});
