import { afterEach, expect, test, vi } from "vitest";
import { recogniseStoreError } from "./redis/store-error.ts";
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

test("an outage of Redis is told once, however calls fail in it, and what Redis answers is told apart", () => {
  const reasons: string[] = [];
  const logger = { ...silentLogger, warn: ({ err }: { err?: Error }) => void reasons.push(err?.message ?? "") };
  const warn = createRepeatedWarning(logger, "It failed.");
  const gone = "Reached the max retries per request limit (which is 0).";
  for (const message of ["Command timed out", gone, "Connection is closed."]) {
    for (const wasSent of [true, false]) warn(recogniseStoreError(new Error(message), wasSent));
  }
  for (const message of ["OOM command not allowed", "READONLY You can't write", "OOM command not allowed"]) {
    warn(recogniseStoreError(Object.assign(new Error(message), { name: "ReplyError" })));
  }
  expect(reasons).toEqual([
    expect.stringContaining("took too long"),
    expect.stringContaining("out of memory"),
    expect.stringContaining("read-only"),
  ]);
});
