import { expect, test, vi } from "vitest";
import { watchRun } from "./run-watch.ts";
import { createFakePorts } from "./testing/fake-ports.ts";

test("the end of a run is noted, and its seat given back once and not left any more", async () => {
  const fake = createFakePorts((run) => {
    run.start();
    run.complete();
  });
  const { run_id } = await fake.runs.spawn({ prompt: "x", enable_tools: true, priority: 50 });
  const seat = { done: vi.fn(), leave: vi.fn() };
  const timing = { started: vi.fn(), ended: vi.fn(), headers: () => ({}) };
  const client = new AbortController();
  const watch = await watchRun({
    runs: fake.runs,
    runId: run_id,
    seat,
    timing,
    signal: client.signal,
    maxWaitMs: 60_000,
    graceMs: 0,
  });
  expect(await watch.take(Number.POSITIVE_INFINITY)).toHaveLength(3);
  client.abort();
  expect(timing.started).toHaveBeenCalledTimes(1);
  expect(timing.ended).toHaveBeenCalledTimes(1);
  expect(seat.done).toHaveBeenCalledTimes(1);
  expect(seat.leave).not.toHaveBeenCalled();
});
