/** Event streams over HTTP and answers that take their time, on real connections. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { KsiError, type Run, type RunEvent } from "@ksi/contract";
import { createFakeFollow, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { startTestDoors, type TestDoors, type TestDoorsOptions } from "./testing/test-doors.ts";
import { untilStill } from "./testing/until-still.ts";

const input = encodeURIComponent(JSON.stringify({ json: { run_id: "run-1" } }));
const streams = [`/trpc/runs.events?input=${input}`, "/api/v1/runs/run-1/events"];
const waits = [`/trpc/runs.result?input=${input}`, "/api/v1/runs/run-1/result"];

test.each(streams)("%s gives each event with its cursor as id, as it comes", async (path) => {
  const { promise: more, resolve: sayMore } = Promise.withResolvers<void>();
  await using doors = await startTestDoors(
    runFollowedAs(async function* () {
      yield entry(1, "Hello");
      await more;
      yield entry(2, "world");
    }),
  );
  const response = await open(doors, path);
  expect([response.statusCode, response.headers["content-type"]]).toEqual([
    200,
    expect.stringContaining("text/event-stream"),
  ]);
  let received = "";
  response.on("data", (chunk) => {
    received += chunk;
  });
  await until(() => received.includes("Hello"), { message: "the first comes before the second is said" });
  sayMore();
  await once(response, "end");
  expect(received).toMatch(/id: ?1\.1\n[\s\S]*id: ?1\.2\n/);
});

test.each(streams)("a client of %s that goes away is not followed for any longer", async (path) => {
  const signals: (AbortSignal | undefined)[] = [];
  let isReturned = false;
  await using doors = await startTestDoors(
    runFollowedAs(async function* (signal) {
      signals.push(signal);
      try {
        yield entry(1, "Hello");
        if (signal && !signal.aborted) await once(signal, "abort");
      } finally {
        isReturned = true;
      }
    }),
  );
  const response = await open(doors, path);
  await once(response, "data");
  response.destroy();
  await until(() => isReturned, { message: "the follow is closed" });
  expect(signals[0]?.aborted).toBe(true);
});

test.each(streams)("a slow reader of %s is waited for, and then gets everything", async (path) => {
  const count = 300;
  let taken = 0;
  await using doors = await startTestDoors(
    runFollowedAs(async function* () {
      for (; taken < count; taken++) yield entry(taken, "a".repeat(100_000));
    }),
  );
  const response = await open(doors, path);
  response.pause();
  await untilStill(() => taken);
  expect(taken).toBeLessThan(count);
  const received = await text(response);
  expect([...received.matchAll(/^id: ?(\S+)/gm)].map(([, id]) => id)).toEqual(
    Array.from({ length: count }, (_, index) => `1.${index}`),
  );
});

/** Its doors have no grace: what does not end at once is cut off. */
test.each(streams)("a daemon that closes ends %s in peace", async (path) => {
  await using doors = await startTestDoors(
    runFollowedAs(async function* (signal) {
      yield entry(1, "Hello");
      if (signal && !signal.aborted) await once(signal, "abort");
    }),
  );
  const response = await open(doors, path);
  await once(response, "data");
  response.resume();
  const ended = once(response, "end");
  await doors[Symbol.asyncDispose]();
  await ended;
  // Whoever had to be cut off would not have been told that it was all.
  expect(response.complete).toBe(true);
});

test.each(streams)("HEAD of %s follows nothing any more once it is answered", async (path) => {
  let follows = 0;
  await using doors = await startTestDoors(
    runFollowedAs(async function* () {
      follows++;
      try {
        yield entry(1, "Hello");
        yield entry(2, "World");
      } finally {
        follows--;
      }
    }),
  );
  const response = await fetch(doors.url + path, { method: "HEAD", headers: authorization(doors) });
  expect([response.ok, await response.text(), follows]).toEqual([true, "", 0]);
});

test("HEAD of a REST stream needs the token as GET does", async () => {
  await using doors = await startTestDoors();
  const response = await fetch(`${doors.url}/api/v1/events`, { method: "HEAD" });
  expect(response.status).toBe(401);
});

test.each(waits)("a client of %s that goes away ends the wait for its answer", async (path) => {
  const signals: AbortSignal[] = [];
  const result = async (_input: unknown, signal?: AbortSignal): Promise<Run> => {
    if (!signal) throw new Error("no signal came");
    signals.push(signal);
    await once(signal, "abort");
    throw KsiError.from(signal.reason);
  };
  await using doors = await startTestDoors({ ports: { runs: { result } } });
  const request = get(doors.url + path, { agent: false, headers: authorization(doors) });
  request.on("error", () => undefined);
  await until(() => signals.length === 1);
  expect(signals[0]?.aborted).toBe(false);
  request.destroy();
  await until(() => signals[0]?.aborted === true, { message: "the call is told" });
  await doors[Symbol.asyncDispose]();
  expect(doors.logged.find(({ message }) => message === "request")?.fields).toMatchObject({ status: 499 });
  // What nobody waits for any more is no fault of ours.
  expect(doors.logged.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
});

function runFollowedAs(
  generate: (signal: AbortSignal | undefined) => AsyncGenerator<{ cursor: string; event: RunEvent }>,
): TestDoorsOptions {
  return {
    ports: { runs: { events: async (_run, _from, signal) => createFakeFollow("runs:run-1", () => generate(signal)) } },
  };
}

function entry(number: number, said: string): { cursor: string; event: RunEvent } {
  return {
    cursor: `1.${number}`,
    event: {
      id: `e${number}`,
      source: "ksi",
      timestamp: "2026-01-01T00:00:00.000Z",
      run_id: "run-1",
      session_id: "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b",
      event_type: "run.text",
      payload: { text: said },
    },
  };
}

/** On a connection of its own, and not read before somebody reads it. */
async function open(doors: TestDoors, path: string): Promise<IncomingMessage> {
  const request = get(doors.url + path, { agent: false, headers: authorization(doors) });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}

const authorization = ({ token }: TestDoors) => ({ authorization: `Bearer ${token}` });
