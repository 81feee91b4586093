import { afterEach, expect, test, vi } from "vitest";
import { createRepeatedWarning } from "./repeated-warning.ts";
import { silentLogger } from "./testing/fresh-redis.ts";

afterEach(() => void vi.useRealTimers());

test("a failure that comes every second is told once, and then once a minute with how often it came", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const lines: object[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void lines.push(fields) };
  const warn = createRepeatedWarning(logger, "It failed.");
  const err = new Error("Redis is gone");
  for (let second = 0; second < 130; second++) {
    warn(err, { worker_id: "w" });
    vi.advanceTimersByTime(1_000);
  }
  expect(lines).toEqual([
    { worker_id: "w", err },
    { worker_id: "w", err, repeated: 59 },
    { worker_id: "w", err, repeated: 59 },
  ]);
});

test("another reason is told at once, and the memory of reasons is bounded", () => {
  const reasons: string[] = [];
  const logger = { ...silentLogger, warn: ({ err }: { err?: Error }) => void reasons.push(err?.message ?? "") };
  const warn = createRepeatedWarning(logger, "It failed.");
  const all = Array.from({ length: 250 }, (_, i) => `job ${i}`);
  for (const reason of all) warn(new Error(reason));
  expect(reasons).toEqual(all);
  warn(new Error("job 249"));
  expect(reasons).toEqual(all);
});
