import { KsiError } from "@ksi/contract";
import { until } from "@ksi/testing";
import { expect, test } from "vitest";
import { z } from "zod";
import { createKsiClient, type KsiClient, type ReceivedMessage } from "./index.ts";
import { aMessage, type FakeDaemon, startFakeDaemon } from "./testing/fake-daemon.ts";

const connect = ({ url, token }: FakeDaemon): KsiClient => createKsiClient({ url, token });
const messages = (first: number, count: number) => Array.from({ length: count }, (_, index) => aMessage(first + index));
const numbers = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index);
const ackedIds = ({ acked }: FakeDaemon) => acked.flatMap(({ ids }) => ids);

test("an agent that joined is the source of what it sends and asks", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob", capabilities: ["math"] });
  await bob.send({ target: "carol", event_type: "x.n", payload: 1 });
  expect(daemon.sent).toMatchObject([{ source: "bob", target: "carol" }]);
  expect((await bob.request({ capability: "math", event_type: "x.n", payload: 1 })).reply.target).toBe("bob");
  expect(daemon.requested).toMatchObject([{ source: "bob", capability: "math" }]);
  expect(await bob.leave()).toEqual({ status: "unregistered", agent_id: "bob" });
});

test("acknowledgements of one tick are one call of at most 500, and a later one is its own", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(...messages(1, 1_101));
  const received: ReceivedMessage[] = [];
  for await (const message of bob.inbox()) if (received.push(message) === 1_101) break;
  await Promise.all(received.slice(0, 1_100).map((message) => message.ack()));
  expect(daemon.acked.map(({ agent_id, ids }) => [agent_id, ids.length])).toEqual([
    ["bob", 500],
    ["bob", 500],
    ["bob", 100],
  ]);
  await received[1_100]?.ack();
  expect(ackedIds(daemon)).toEqual(received.map(({ id }) => id));
});

test("an acknowledgement is made again while the daemon is away, and rejects where it is refused", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(aMessage(1));
  for await (const message of bob.inbox()) {
    daemon.faults.loseAnswers = 1;
    await message.ack();
    daemon.faults.refuse.push(new KsiError("NOT_FOUND", "bob is not registered."));
    await expect(message.ack()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await message.ack();
    break;
  }
  expect(daemon.acked).toHaveLength(3);
});

test("a reply goes to whom the message names, with its correlation_id and one hop more", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(aMessage(1), aMessage(2, { reply_to: "carol", correlation_id: "c", hops: 4 }));
  for await (const message of bob.inbox()) {
    await message.reply({ echo: message.payload }, message.hops ? { event_type: "x.sum" } : {});
    if (message.hops) break;
  }
  const [plain, named] = daemon.sent;
  expect(plain).toMatchObject({ source: "bob", target: "alice", event_type: "x.reply", payload: { echo: 1 }, hops: 1 });
  expect(plain).not.toHaveProperty("correlation_id");
  expect(named).toMatchObject({ target: "carol", event_type: "x.sum", correlation_id: "c", hops: 5 });
  expect(daemon.acked).toEqual([]);
});

test("a handler is given messages one at a time and in order, each acknowledged when it is done", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  const begun: unknown[] = [];
  const handling = bob.handle(
    async ({ payload }) => {
      begun.push(payload);
      if (payload === 2) await gate.promise;
    },
    { signal: stop.signal },
  );
  daemon.inbox.append(...messages(1, 5));
  await until(() => daemon.acked.length === 1);
  expect(begun).toEqual([1, 2]);
  expect(ackedIds(daemon)).toEqual([aMessage(1).id]);
  gate.resolve();
  await until(() => ackedIds(daemon).length === 5);
  expect(begun).toEqual(numbers(1, 5));
  stop.abort();
  await handling;
  await until(() => daemon.inbox.open === 0);
});

test("as many messages are handled at one time as was said, and not more", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  let busy = 0;
  let most = 0;
  const handling = bob.handle(
    async () => {
      most = Math.max(most, ++busy);
      await gate.promise;
      busy--;
    },
    { signal: stop.signal, concurrency: 3 },
  );
  daemon.inbox.append(...messages(1, 10));
  await until(() => busy === 3);
  gate.resolve();
  await until(() => ackedIds(daemon).length === 10);
  expect(most).toBe(3);
  stop.abort();
  await handling;
});

test("what a handler returns is the reply, where one was asked for", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const stop = new AbortController();
  const asked = { correlation_id: "c" };
  daemon.inbox.append(
    aMessage(1, asked),
    aMessage(2),
    aMessage(3, { ...asked, in_reply_to: aMessage(1).id }),
    aMessage(4, { reply_to: "carol" }),
    aMessage(5, { ...asked, event_type: "x.nothing" }),
  );
  const errors: unknown[] = [];
  const handling = bob.handle(({ event_type, payload }) => (event_type === "x.nothing" ? undefined : payload), {
    signal: stop.signal,
    onError: (error) => errors.push(error),
  });
  await until(() => ackedIds(daemon).length === 5);
  stop.abort();
  await handling;
  expect(daemon.sent.map(({ target, payload, correlation_id }) => ({ target, payload, correlation_id }))).toEqual([
    { target: "alice", payload: 1, correlation_id: "c" },
    { target: "carol", payload: 4 },
  ]);
  expect(errors).toEqual([]);
});

test("a message whose reply is refused is acknowledged, and whoever waits no more is no error", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(aMessage(1, { correlation_id: "c" }), aMessage(2, { correlation_id: "c" }));
  const errors: unknown[] = [];
  const stop = new AbortController();
  daemon.faults.refuse.push(new KsiError("NOT_FOUND", "alice is gone."));
  const handling = bob.handle(
    async ({ payload }) => {
      if (payload === 2) {
        await until(() => daemon.acked.length === 1);
        daemon.faults.refuse.push(new KsiError("LOOP_DETECTED", "Too many hops."));
      }
      return "done";
    },
    { signal: stop.signal, onError: (error, { payload }) => errors.push([KsiError.from(error).code, payload]) },
  );
  await until(() => ackedIds(daemon).length === 2);
  stop.abort();
  await handling;
  expect(errors).toEqual([["LOOP_DETECTED", 2]]);
});

test("a message whose handler throws is told, handled again later, and holds up no other", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(...messages(1, 3));
  const errors: unknown[] = [];
  const stop = new AbortController();
  let busy = 0;
  let tries = 0;
  const handling = bob.handle(
    async ({ payload }) => {
      expect(++busy).toBe(1);
      await Promise.resolve();
      busy--;
      if (payload === 2 && ++tries < 3) throw new Error("I cannot do 2.");
    },
    { signal: stop.signal, onError: (error, { payload }) => errors.push([String(error), payload]) },
  );
  await until(() => ackedIds(daemon).length === 3);
  stop.abort();
  await handling;
  expect(ackedIds(daemon)).toEqual([1, 3, 2].map((number) => aMessage(number).id));
  expect(errors).toEqual(Array(2).fill(["Error: I cannot do 2.", 2]));
});

test("a message that waits to be handled again is left unacknowledged when the loop ends", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(aMessage(1));
  const stop = new AbortController();
  let tries = 0;
  await bob.handle(
    () => {
      tries++;
      throw new Error("Not today.");
    },
    { signal: stop.signal, onError: () => stop.abort() },
  );
  expect(tries).toBe(1);
  expect(daemon.acked).toEqual([]);
});

test("what a handler throws is the answer of whoever asked, and ends no loop", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const asked = { correlation_id: "c" };
  daemon.inbox.append(aMessage(1, asked), aMessage(2, asked), aMessage(3, asked));
  const stop = new AbortController();
  const words = "just words" as unknown as Error;
  const thrown = [new KsiError("RATE_LIMITED", "Too many."), new Error("Something broke."), words];
  const handling = bob.handle(
    // Whoever throws may throw anything.
    ({ payload }) => Promise.reject(thrown[Number(payload) - 1] ?? words),
    { signal: stop.signal },
  );
  await until(() => ackedIds(daemon).length === 3);
  stop.abort();
  await handling;
  const answer = { source: "bob", target: "alice", event_type: "x.reply", payload: null, ...asked, hops: 1 };
  expect(daemon.sent).toMatchObject([
    { ...answer, in_reply_to: aMessage(1).id, error: { code: "RATE_LIMITED", message: "Too many." } },
    { ...answer, in_reply_to: aMessage(2).id, error: { message: "Something broke." } },
    { ...answer, in_reply_to: aMessage(3).id, error: { message: "just words" } },
  ]);
});

test("a handler with a schema is given what that makes of a payload, and none that does not fit", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(
    aMessage(1, { payload: { due: "2026-11-21" } }),
    aMessage(2, { payload: { due: 7 }, correlation_id: "c" }),
    aMessage(3, { payload: { due: "2026-11-22" }, reply_to: "carol" }),
  );
  const stop = new AbortController();
  const schema = z.object({ due: z.string().transform((text) => new Date(text)) });
  const handling = bob.handle(({ payload }) => payload.due.toISOString(), { schema, signal: stop.signal });
  await until(() => ackedIds(daemon).length === 3);
  stop.abort();
  await handling;
  expect(daemon.sent).toMatchObject([
    { target: "alice", error: { code: "INVALID_INPUT", message: expect.stringContaining("due: ") } },
    { target: "carol", payload: "2026-11-22T00:00:00.000Z" },
  ]);
});

test("without onError the first throw ends the loop, once the handlers that had begun are done", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(...messages(1, 4));
  const gate = Promise.withResolvers<void>();
  const begun: unknown[] = [];
  const handling = bob.handle(
    async ({ payload }) => {
      begun.push(payload);
      if (payload === 2) throw new Error("I cannot do 2.");
      await gate.promise;
    },
    { concurrency: 2 },
  );
  const rejected = expect(handling).rejects.toThrow("I cannot do 2.");
  await until(() => begun.length === 2);
  gate.resolve();
  await rejected;
  expect(begun).toEqual([1, 2]);
  expect(ackedIds(daemon)).toEqual([aMessage(1).id]);
  await until(() => daemon.inbox.open === 0);
});

test("a signal ends the loop when the handler that had begun is done and its message acknowledged", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  for (const mode of ["each", "shared"] as const) {
    const stop = new AbortController();
    const gate = Promise.withResolvers<void>();
    const follows = mode === "each" ? daemon.inbox : daemon.shared;
    follows.append(...messages(1, 3));
    const begun: unknown[] = [];
    const before = daemon.acked.length;
    const handling = bob.handle(
      async ({ payload }) => {
        begun.push(payload);
        await gate.promise;
      },
      { mode, prefetch: 10, signal: stop.signal },
    );
    await until(() => begun.length === 1);
    stop.abort();
    expect(follows.open).toBe(1);
    gate.resolve();
    await handling;
    expect(begun).toEqual([1]);
    expect(daemon.acked.slice(before).flatMap(({ ids }) => ids)).toEqual([aMessage(1).id]);
    await until(() => follows.open === 0);
  }
});

test("an agent can leave from within its handler", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  daemon.inbox.append(...messages(1, 2));
  await bob.handle(async () => void (await bob.leave()));
  expect(daemon.acked).toEqual([]);
  await until(() => daemon.inbox.open === 0);
});

test("two loops that share an inbox divide its messages, and none waits behind a handler that is busy", async () => {
  await using daemon = await startFakeDaemon();
  const handled: [who: number, what: unknown][] = [];
  const gate = Promise.withResolvers<void>();
  const stop = new AbortController();
  await using first = connect(daemon);
  await using second = connect(daemon);
  const handling = [first, second].map(async (ksi, who) => {
    const bob = await ksi.agents.join({ agent_id: "bob" });
    await bob.handle(
      async ({ payload }) => {
        handled.push([who, payload]);
        if (who === 0) await gate.promise;
      },
      { mode: "shared", signal: stop.signal },
    );
  });
  await until(() => daemon.shared.open === 2);
  daemon.shared.append(...messages(1, 20));
  await until(() => ackedIds(daemon).length === 19);
  gate.resolve();
  await until(() => ackedIds(daemon).length === 20);
  expect(handled.filter(([who]) => who === 0)).toHaveLength(1);
  expect(handled.map(([, what]) => Number(what)).sort((a, b) => a - b)).toEqual(numbers(1, 20));
  stop.abort();
  await Promise.all(handling);
});

test("a shared message whose handler throws is given out again, to another loop or to this one", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const stop = new AbortController();
  const errors: unknown[] = [];
  let tries = 0;
  daemon.shared.append(...messages(1, 4));
  const handling = bob.handle(
    ({ payload }) => {
      if (payload === 2 && ++tries < 3) throw new Error("Not yet.");
    },
    { mode: "shared", signal: stop.signal, onError: (_, { payload }) => errors.push(payload) },
  );
  await until(() => ackedIds(daemon).length === 4);
  stop.abort();
  await handling;
  expect(errors).toEqual([2, 2]);
  const ids = [1, 2, 2, 2, 3, 4].map((number) => aMessage(number).id);
  expect(daemon.shared.delivered.toSorted()).toEqual(ids);
  expect(daemon.nacked).toEqual([1, 2].map(() => ({ agent_id: "bob", ids: [ids[1]], delay_ms: expect.any(Number) })));
});

test("after a cut a shared inbox gives its messages again, older ones too, and one in hand is not begun twice", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const bob = await ksi.agents.join({ agent_id: "bob" });
  const stop = new AbortController();
  const gate = Promise.withResolvers<void>();
  const begun: unknown[] = [];
  daemon.shared.append(...messages(1, 3));
  const handling = bob.handle(
    async ({ payload }) => {
      begun.push(payload);
      await gate.promise;
    },
    { mode: "shared", prefetch: 3, signal: stop.signal },
  );
  await until(() => daemon.shared.delivered.length === 3);
  daemon.cut();
  await until(() => daemon.shared.delivered.length === 6);
  gate.resolve();
  await until(() => ackedIds(daemon).length === 3);
  stop.abort();
  await handling;
  expect(begun).toEqual([1, 2, 3]);
});

test("what a shared loop had not been given yet when its connection broke is left to others", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const inbox = ksi.agents.inbox("bob", { mode: "shared" });
  const loop = inbox[Symbol.asyncIterator]();
  const next = loop.next();
  daemon.shared.append(...messages(1, 3));
  expect((await next).value).toMatchObject({ payload: 1 });
  await until(() => daemon.shared.delivered.length === 3);
  await daemon.stop();
  await until(() => ksi.connection.state === "connecting");
  const later = loop.next();
  daemon.shared.ack(messages(1, 3).map(({ id }) => id));
  await daemon.start();
  daemon.shared.append(aMessage(4));
  expect((await later).value).toMatchObject({ payload: 4 });
  expect(inbox.cursor).toBeUndefined();
  await loop.return?.();
});

test("a message that is given out again before the loop came to it is not given twice", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  const loop = ksi.agents.inbox("bob", { mode: "shared" })[Symbol.asyncIterator]();
  daemon.shared.append(...messages(1, 3));
  const received = [(await loop.next()).value?.payload];
  await until(() => daemon.shared.delivered.length === 3);
  daemon.shared.expire();
  await until(() => daemon.shared.delivered.length === 6);
  daemon.shared.append(aMessage(4));
  while (received.length < 5) received.push((await loop.next()).value?.payload);
  expect(received).toEqual([1, 2, 3, 1, 4]);
  await loop.return?.();
});

test("an inbox is asked for as it was meant: consumed, looked at, or gone on with, after a gap too", async () => {
  await using daemon = await startFakeDaemon();
  await using ksi = connect(daemon);
  daemon.inbox.append(...messages(1, 6));
  const gaps: unknown[] = [];
  const inbox = ksi.agents.inbox("bob", { onGap: (gap) => gaps.push(gap) });
  for await (const { payload } of inbox) if (payload === 2) break;
  daemon.inbox.trim(2);
  for await (const { payload } of inbox) if (payload === 5) break;
  expect(gaps).toMatchObject([{ after: expect.stringMatching(/\.2$/), reason: "trimmed" }]);
  for await (const _ of ksi.agents.inbox("bob", { from: "oldest" })) break;
  const consumer = { agent_id: "bob", mode: "each", prefetch: 100 };
  expect(daemon.followed).toEqual([
    consumer,
    { ...consumer, lastEventId: expect.stringMatching(/\.2$/) },
    consumer,
    { ...consumer, from: "oldest" },
  ]);
});
