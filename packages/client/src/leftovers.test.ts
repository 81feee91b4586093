/** What a client leaves behind: no listener on the signals it was given, no timer, no socket. */
import { getEventListeners } from "node:events";
import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { createEventStream } from "./event-stream.ts";
import { createKsiClient } from "./index.ts";
import { type FakeDaemon, startFakeDaemon } from "./testing/fake-daemon.ts";

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

/** Timers, sockets and whatever else keeps this process alive, of which the daemon's are a part. */
const resources = () => process.getActiveResourcesInfo();

/** Those beyond what there was before. */
function beyond(before: readonly string[]): string[] {
  const more = resources();
  for (const kind of before) if (more.includes(kind)) more.splice(more.indexOf(kind), 1);
  return more;
}

const follow = ({ url, token }: Pick<FakeDaemon, "url" | "token">) => {
  const ksi = createKsiClient({ url, token });
  const inbox = (signal?: AbortSignal) => ksi.agents.inbox("bob", { signal })[Symbol.asyncIterator]();
  return { ksi, inbox, [Symbol.asyncDispose]: () => ksi.close() };
};

test("after many follows, aborts, breaks and cuts nothing is left on a signal, and no timer or socket", async () => {
  await using daemon = await startFakeDaemon();
  daemon.inbox.append({ id: "m", source: "a", event_type: "x", payload: null, timestamp: "2026-11-21T00:00:00.000Z" });
  const before = resources();
  const lasting = new AbortController();
  await using client = follow(daemon);
  for (let round = 0; round < 10; round++) {
    const aborts = Array.from({ length: 20 }, () => new AbortController());
    const aborted = aborts.map(({ signal }) => client.inbox(signal));
    const left = Array.from({ length: 20 }, () => client.inbox(lasting.signal));
    const loops = [...aborted, ...left];
    await Promise.all(loops.map((loop) => loop.next()));
    const pending = loops.map((loop) => loop.next());
    expect(listeners(lasting.signal)).toBe(20);
    if (round % 3 === 1) daemon.cut();
    for (const abort of aborts) abort.abort();
    for (const loop of left) await loop.return?.();
    for (const next of await Promise.all(pending)) expect(next).toEqual({ done: true, value: undefined });
    for (const { signal } of [...aborts, lasting]) expect(listeners(signal)).toBe(0);
  }
  await client.ksi.close();
  await until(() => daemon.inbox.open === 0 && daemon.sockets === 0);
  await until(() => beyond(before).length === 0, { message: "no timer and no socket is left" });
});

test("leaving a loop while a reconnect is pending ends it at once, and a later loop opens one socket again", async () => {
  await using daemon = await startFakeDaemon();
  const before = resources();
  await using client = follow(daemon);
  const first = client.inbox();
  const pending = first.next();
  await until(() => daemon.inbox.open === 1);
  await daemon.stop();
  await until(() => client.ksi.connection.error);
  await first.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });
  await until(() => client.ksi.connection.state === "idle");
  await until(() => beyond(before).length === 0, { message: "no timer and no socket is left" });

  await daemon.start();
  const second = client.inbox();
  const next = second.next();
  await until(() => daemon.inbox.open === 1);
  expect(daemon.sockets).toBe(1);
  await second.return?.();
  expect((await next).done).toBe(true);
});

test("leaving a loop while the daemon's failure is waited out leaves no timer", async () => {
  await using daemon = await startFakeDaemon();
  const before = resources();
  await using client = follow(daemon);
  daemon.inbox.failWith(new KsiError("STORE_UNAVAILABLE", "Redis is away."), 1_000);
  const loop = client.inbox();
  const pending = loop.next();
  await until(() => daemon.inbox.opened >= 2);
  await loop.return?.();
  expect((await pending).done).toBe(true);
  await client.ksi.close();
  // Not waited for: the timer would end by itself, and subscribe.
  expect(beyond(before)).not.toContain("Timeout");
  await until(() => beyond(before).length === 0, { message: "no timer and no socket is left" });
});

test("loops and calls leave nothing on the signal that lives as long as the client", async () => {
  const closed = new AbortController().signal;
  const source = { subscribe: () => ({ unsubscribe() {} }) };
  for (let round = 0; round < 50; round++) {
    const loop = createEventStream(source, {}, [closed])[Symbol.asyncIterator]();
    const next = loop.next();
    expect(listeners(closed)).toBe(1);
    await loop.return?.();
    await next;
  }
  expect(listeners(closed)).toBe(0);
});

test("a signal of many calls has no listeners when they are answered, refused or given up", async () => {
  await using daemon = await startFakeDaemon();
  await using client = follow(daemon);
  const { signal } = new AbortController();
  daemon.faults.refuse.push(new KsiError("CONFLICT", "Refused."));
  await expect(client.ksi.run({ prompt: "x" }, { signal })).rejects.toMatchObject({ code: "CONFLICT" });
  const run = await client.ksi.run({ prompt: "x" }, { signal });
  daemon.faults.resultGate = new Promise(() => {});
  const result = run.result({ signal });
  const rejected = expect(result).rejects.toMatchObject({ code: "CANCELLED" });
  await until(() => daemon.requests.some((url) => url.includes("runs.result")));
  await client.ksi.close();
  await rejected;
  expect(listeners(signal)).toBe(0);
});

test("handling messages leaves nothing on the signal, whether it ends by it, by an error or by a close", async () => {
  await using daemon = await startFakeDaemon();
  const before = resources();
  const stop = new AbortController();
  const lasting = new AbortController();
  await using client = follow(daemon);
  const bob = await client.ksi.agents.join({ agent_id: "bob" });
  const fail = () => {
    throw new Error("no");
  };
  const begin = (handler: () => void, { signal }: AbortController) =>
    (["each", "shared"] as const).map((mode) => bob.handle(handler, { mode, signal }));
  const areOpen = (count: number) => until(() => daemon.inbox.open === count && daemon.shared.open === count);

  const stopped = begin(() => {}, stop);
  await areOpen(1);
  stop.abort();
  await Promise.all(stopped);
  await areOpen(0);
  const failed = begin(fail, lasting).map((handling) => expect(handling).rejects.toThrow("no"));
  await client.ksi.messages.send({ source: "alice", target: "bob", event_type: "x.n", payload: 1 });
  await Promise.all(failed);
  const closed = begin(() => {}, lasting);
  await areOpen(1);
  expect(listeners(lasting.signal)).toBe(2);
  await client.ksi.close();
  await Promise.all(closed);
  expect(listeners(stop.signal) + listeners(lasting.signal)).toBe(0);
  await until(() => beyond(before).length === 0, { message: "no timer and no socket is left" });
});
