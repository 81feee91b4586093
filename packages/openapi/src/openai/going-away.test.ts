import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import type { OpenAiOptions } from "./options.ts";
import { createOpenAiRoutes } from "./routes.ts";
import { ask, hello, readWrites } from "./testing/ask.ts";
import { createFakePorts } from "./testing/fake-ports.ts";

const keyed = { "idempotency-key": "k" };
const gone = { reason: "the client went away", grace_ms: 300 };

/** A request under way, with the way to leave it. */
function start(options: OpenAiOptions = {}) {
  const fake = createFakePorts();
  const handler = createOpenAiRoutes(fake, options);
  const join = (body: object = {}, headers: Record<string, string> = {}) => {
    const client = new AbortController();
    const answering = ask(handler, { ...hello, ...body }, { headers, signal: client.signal });
    return { answering, leave: () => client.abort() };
  };
  const followed = (count: number) => until(() => fake.spawned[0]?.followers === count && fake.spawned[0]);
  return { fake, handler, join, followed };
}

test("a client that goes away while it waits cancels its run, and is forgotten", async () => {
  const { fake, join, followed } = start();
  const { answering, leave } = join();
  const run = await followed(1);
  leave();
  expect((await answering).status).toBe(499);
  expect(fake.cancelled).toEqual([{ run_id: run.run_id, ...gone }]);
  await followed(0);
});

test("a client that goes away before its run is accepted cancels it all the same", async () => {
  const { fake, handler } = start();
  const client = new AbortController();
  fake.play = () => client.abort();
  await ask(handler, hello, { signal: client.signal });
  expect(fake.cancelled).toMatchObject([gone]);
});

test("a client that was gone before anything was asked spawns nothing", async () => {
  const { fake, handler } = start();
  await ask(handler, hello, { signal: AbortSignal.abort() });
  expect(fake.spawned).toHaveLength(0);
});

test("a stream that is cancelled cancels its run", async () => {
  const { fake, join, followed } = start();
  const { answering } = join({ stream: true });
  const run = await followed(1);
  run.say("one");
  const { next, cancel } = readWrites(await answering);
  await next();
  await cancel();
  expect(fake.cancelled).toEqual([{ run_id: run.run_id, ...gone }]);
  await followed(0);
});

test("a stream whose client disconnects cancels its run, also while nobody reads", async () => {
  const { fake, join, followed } = start();
  const { answering, leave } = join({ stream: true });
  (await followed(1)).say("one");
  await answering;
  leave();
  expect(fake.cancelled).toMatchObject([gone]);
});

test("a run that has ended is not cancelled by a client that leaves then", async () => {
  const { fake, join, followed } = start();
  const { answering, leave } = join({ stream: true });
  const run = await followed(1);
  run.say("one");
  run.complete();
  await (await answering).text();
  leave();
  expect(fake.cancelled).toEqual([]);
});

test("a run that was asked to go on does", async () => {
  const { fake, join, followed } = start();
  const { answering, leave } = join({ metadata: { keep_on_disconnect: "true" } });
  await followed(1);
  leave();
  await answering;
  await followed(0);
  expect(fake.cancelled).toEqual([]);
});

test("with a key the run waits for a repeat, which attaches to it", async () => {
  const { fake, join, followed } = start({ reattachMs: 40 });
  const first = join({}, keyed);
  await followed(1);
  first.leave();
  await first.answering;
  const second = join({}, keyed);
  const run = await followed(1);
  // Longer than the grace: nothing tells that a timer did not fire but that time.
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(fake.cancelled).toEqual([]);
  run.complete({ result: "still here" });
  expect(await (await second.answering).json()).toMatchObject({ choices: [{ message: { content: "still here" } }] });
  expect(fake.spawned).toHaveLength(1);
});

test("with a key the run is cancelled when nobody came back", async () => {
  const { fake, join, followed } = start({ reattachMs: 20 });
  const { answering, leave } = join({}, keyed);
  await followed(1);
  leave();
  await answering;
  expect(fake.cancelled).toEqual([]);
  await until(() => fake.cancelled.length === 1);
});

test("a run is not cancelled while another client of the same key waits for it", async () => {
  const { fake, join, followed } = start({ reattachMs: 0 });
  const [first, second] = [join({}, keyed), join({ stream: true }, keyed)];
  await followed(2);
  first.leave();
  await first.answering;
  expect(fake.cancelled).toEqual([]);
  second.leave();
  await second.answering;
  expect(fake.cancelled).toHaveLength(1);
});

test("a run whose end one client saw is not cancelled by another that leaves", async () => {
  const { fake, join, followed } = start({ reattachMs: 0 });
  const [reader, idler] = [join({}, keyed), join({ stream: true }, keyed)];
  const run = await followed(2);
  run.say("one");
  await idler.answering;
  run.complete();
  await reader.answering;
  idler.leave();
  expect(fake.cancelled).toEqual([]);
});

test("a cancel that fails is told to the log", async () => {
  const reported: unknown[] = [];
  const { fake, join, followed } = start({ onError: ({ error }) => void reported.push(error) });
  fake.failures.cancel = new KsiError("STORE_UNAVAILABLE", "Redis is away.");
  const { answering, leave } = join();
  await followed(1);
  leave();
  await answering;
  await until(() => reported.includes(fake.failures.cancel));
});
