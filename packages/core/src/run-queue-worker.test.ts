import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { PatientWorker } from "./run-queue-worker.ts";
import { startFreshRedis } from "./testing/fresh-redis.ts";

test("a Redis that refuses is asked again after a pause, and not at once", async () => {
  await using redis = await startFreshRedis();
  const { commands } = redis.store;
  const refusals = async () => Number(/errorstat_OOM:count=(\d+)/.exec(await commands.info("errorstats"))?.[1] ?? 0);
  const connection = redis.store.connect("worker", "queue");
  const worker = new PatientWorker("jobs", async () => undefined, { connection, autorun: false, runRetryDelay: 500 });
  const errors: Error[] = [];
  worker.on("error", (error) => errors.push(error));
  await worker.waitUntilReady();
  await commands.config("SET", "maxmemory", "1");
  const running = worker.run();
  await until(async () => (await refusals()) > 0, { message: "the worker has asked" });
  for (let i = 0; i < 100; i++) await commands.ping();
  expect(await refusals()).toBeLessThan(5);
  await until(() => errors.length > 0, { message: "the refusal is told" });
  await commands.config("SET", "maxmemory", "0");
  await worker.close();
  await running;
});

test("a replica that refuses to wait for a job is asked again after a pause as well", async () => {
  await using redis = await startFreshRedis();
  const { commands } = redis.store;
  const refusals = async () =>
    Number(/errorstat_READONLY:count=(\d+)/.exec(await commands.info("errorstats"))?.[1] ?? 0);
  const connection = redis.store.connect("worker", "queue");
  const worker = new PatientWorker("jobs", async () => undefined, { connection, autorun: false, runRetryDelay: 500 });
  worker.on("error", () => undefined);
  await worker.waitUntilReady();
  const running = worker.run();
  const refusingSince = performance.now();
  await commands.replicaof("127.0.0.1", "1");
  await until(async () => (await refusals()) >= 5, { message: "the worker asks again and again" });
  // The first one or two come at once: it was waiting, and looks whether there is a job.
  expect(performance.now() - refusingSince).toBeGreaterThan(3 * 450);
  await commands.replicaof("NO", "ONE");
  await worker.close();
  await running;
});
