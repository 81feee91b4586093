import { until } from "@ksi/testing";
import { expect, test, vi } from "vitest";
import { createPullSource } from "./pull-source.ts";

test("one item is asked for at a time, and only when one is wanted", async () => {
  let asked = 0;
  const source = createPullSource(
    Promise.resolve(
      (async function* () {
        for (;;) yield ++asked;
      })(),
    ),
  );
  expect(asked).toBe(0);
  await source.wait(1_000);
  await source.wait(1_000);
  await source.waitBriefly();
  expect(source.outcome).toEqual({ kind: "item", value: 1 });
  source.take();
  expect(source.outcome).toBeUndefined();
  expect(asked).toBe(1);
  await source.waitBriefly();
  expect(source.outcome).toEqual({ kind: "item", value: 2 });
});

test("a wait that is given up loses nothing", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const source = createPullSource(
    Promise.resolve(
      (async function* () {
        yield await promise;
      })(),
    ),
  );
  await source.wait(1);
  await source.waitBriefly();
  expect(source.outcome).toBeUndefined();
  resolve("late");
  await source.wait(10_000);
  expect(source.outcome).toEqual({ kind: "item", value: "late" });
});

test("an end stays, and so does an error", async () => {
  const ended = createPullSource(Promise.resolve((async function* () {})()));
  const thrown = new Error("no");
  const failed = createPullSource(Promise.reject(thrown));
  for (let time = 0; time < 2; time++) {
    await ended.wait(1_000);
    expect(ended.outcome).toEqual({ kind: "end" });
    ended.take();
    await failed.wait(1_000);
    expect(failed.outcome).toEqual({ kind: "error", thrown });
    failed.take();
  }
});

test("stopping ends a wait and returns the iterator, also one that comes later", async () => {
  const { promise, resolve } = Promise.withResolvers<AsyncIterable<number>>();
  let returned = 0;
  const iterable: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        returned++;
        throw new Error("nobody hears this");
      },
    }),
  };
  const source = createPullSource(promise);
  const waiting = source.wait(60_000);
  source.stop();
  source.stop();
  await waiting;
  resolve(iterable);
  await until(() => returned === 1);
});

test("a wait without end is one of many days, and not of one millisecond", async () => {
  vi.useFakeTimers();
  try {
    const source = createPullSource(new Promise<AsyncIterable<number>>(() => {}));
    let isOver = false;
    const waiting = source.wait(Number.POSITIVE_INFINITY).then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(isOver).toBe(false);
    source.stop();
    await waiting;
  } finally {
    vi.useRealTimers();
  }
});
