/** Agents that find each other, ask, share and come back: through the typed client, over both ways that calls take. */
import {
  type AgentHandle,
  createKsiClient,
  type Json,
  type KsiClient,
  KsiError,
  type KsiEvent,
  type ReceivedMessage,
} from "@ksi/client";
import { createTempFolder, startFaultProxy, until } from "@ksi/testing";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { startLiveDaemon } from "./live-daemon.ts";
import { startOwnRedis } from "./own-redis.ts";

const env = { KSI_MESSAGE_MAX_DELIVERIES: "3", KSI_AGENT_OFFLINE_AFTER_MS: "1000" };
const live = await startLiveDaemon({ env });
afterAll(() => live[Symbol.asyncDispose]());

/** Runs the handlers until the block is left. */
function running(...begin: ((options: { signal: AbortSignal }) => Promise<void>)[]) {
  const stop = new AbortController();
  const handling = begin.map((handle) => handle({ signal: stop.signal }));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(handling);
    },
  };
}

/** What is told of messages to this agent, as it happens. */
async function hearReceipts(ksi: KsiClient, agent_id: string) {
  const stop = new AbortController();
  const heard: KsiEvent[] = [];
  const loop = async () => {
    const receipts = ksi.events.subscribe({ types: ["message.*"], agent_id }, { signal: stop.signal, from: "oldest" });
    for await (const event of receipts) heard.push(event);
  };
  const listening = loop();
  return {
    types: () => heard.map(({ event_type }) => event_type),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listening;
    },
  };
}

const number = { event_type: "x.n" };

describe.each(["http", "websocket"] as const)("calls over %s", (calls) => {
  const name = (agent: string) => `${agent}-${calls}`;
  const connect = (url = live.daemon.url) => createKsiClient({ url, token: live.daemon.token, calls });
  const join = (ksi: KsiClient, agent: string) => ksi.agents.join({ agent_id: name(agent) });

  test("one agent asks whoever can do it, is answered, and its message is acknowledged", async () => {
    await using ksi = connect();
    const alice = await join(ksi, "alice");
    const bob = await ksi.agents.join({ agent_id: name("bob"), capabilities: [name("sum")] });
    await using receipts = await hearReceipts(ksi, bob.agent_id);
    const refused = alice.request({ ...number, capability: "nobody-can-do-this", payload: [] });
    await expect(refused).rejects.toMatchObject({
      code: "NO_AGENT",
      details: { capabilities: expect.arrayContaining([name("sum")]) },
    });
    {
      await using _bob = running((options) =>
        bob.handle(({ payload }) => (payload as number[]).reduce((sum, one) => sum + one, 0), options),
      );
      const { id, reply } = await alice.request({ ...number, capability: name("sum"), payload: [2, 2] });
      expect(reply).toMatchObject({ source: bob.agent_id, target: alice.agent_id, payload: 4, hops: 1 });
      await until(() => receipts.types().includes("message.acked"));
      const { messages } = await ksi.messages.history({ agent_id: bob.agent_id });
      expect(messages.map((message) => message.id)).toEqual([id, reply.id]);
    }
    expect(receipts.types()).toEqual(["message.delivered", "message.acked"]);
    await until(async () => (await ksi.agents.get(bob.agent_id)).status === "offline");
    expect((await ksi.agents.list({ capability: name("sum"), status: "offline" })).agents).toHaveLength(1);
  });

  test("who asks an agent that fails is told at once why, and the agent goes on", async () => {
    await using ksi = connect();
    const frank = await join(ksi, "frank");
    const schema = z.object({ n: z.number().positive() });
    const half = ({ payload: { n } }: ReceivedMessage<{ n: number }>) => {
      if (n % 2) throw new KsiError("CONFLICT", `${n} is odd.`, { details: { n } });
      return { half: n / 2 };
    };
    await using _frank = running((options) => frank.handle(half, { ...options, schema }));
    const ask = (payload: unknown) =>
      ksi.messages.request(
        { ...number, source: "me", target: frank.agent_id, payload: payload as Json },
        { schema: z.object({ half: z.number() }) },
      );
    await expect(ask({ n: 3 })).rejects.toMatchObject({
      code: "AGENT_FAILED",
      message: expect.stringContaining("3 is odd."),
      details: { agent_error: { code: "CONFLICT", message: "3 is odd." }, message_id: expect.any(String) },
    });
    await expect(ask({ n: -4 })).rejects.toMatchObject({ details: { agent_error: { code: "INVALID_INPUT" } } });
    expect((await ask({ n: 4 })).reply.payload.half).toBe(2);
  });

  test("a consumer that went away gets again what it had not acknowledged, and only that", async () => {
    const carol = name("carol");
    {
      await using ksi = connect();
      const handle = await join(ksi, "carol");
      for (const payload of [1, 2, 3]) await ksi.messages.send({ ...number, source: "me", target: carol, payload });
      for await (const message of handle.inbox()) {
        if (message.payload === 2) continue;
        await message.ack();
        if (message.payload === 3) break;
      }
    }
    await using ksi = connect();
    await ksi.messages.send({ ...number, source: "me", target: carol, payload: 4 });
    const handle = await join(ksi, "carol");
    const again: unknown[] = [];
    await using _carol = running((options) => handle.handle(({ payload }) => void again.push(payload), options));
    await until(() => again.length === 2);
    expect(again).toEqual([2, 4]);
  });

  test("consumers that share an inbox divide it, and what one leaves behind goes to the other", async () => {
    await using sender = connect();
    const handled: [who: string, what: unknown][] = [];
    const consume = async (who: string, ksi: KsiClient, wait: Promise<unknown>) => {
      const dora = await join(ksi, "dora");
      return (options: { signal: AbortSignal }) =>
        dora.handle(
          async ({ payload }) => {
            handled.push([who, payload]);
            await wait;
          },
          { ...options, mode: "shared", onError: () => {} },
        );
    };
    const lost = connect();
    await using ksi = connect();
    const gate = Promise.withResolvers<void>();
    const losing = (await consume("lost", lost, gate.promise))({ signal: new AbortController().signal });
    await using _other = running(await consume("other", ksi, Promise.resolve()));
    const send = (payload: number) => sender.messages.send({ ...number, source: "me", target: name("dora"), payload });
    for (let payload = 0; payload < 20; payload++) await send(payload);
    await until(() => handled.length === 20);
    const [inHand] = handled.filter(([who]) => who === "lost");
    expect(inHand).toBeDefined();
    await lost.close();
    gate.resolve();
    await losing;
    await until(() => handled.length === 21);
    expect(handled.at(-1)).toEqual(["other", inHand?.[1]]);
    expect(new Set(handled.map(([, what]) => what)).size).toBe(20);
  });

  test("what no handler can deal with is a dead letter, and handled when it is put back", async () => {
    await using ksi = connect();
    const eve = await join(ksi, "eve");
    await using receipts = await hearReceipts(ksi, eve.agent_id);
    const errors: unknown[] = [];
    const done: unknown[] = [];
    let isAble = false;
    await using _eve = running((options) =>
      eve.handle(
        ({ payload }) => {
          if (payload === "hard" && !isAble) throw new Error("I cannot.");
          done.push(payload);
        },
        { ...options, mode: "shared", onError: (error) => errors.push(String(error)) },
      ),
    );
    const { id } = await ksi.messages.send({ ...number, source: "me", target: eve.agent_id, payload: "hard" });
    await ksi.messages.send({ ...number, source: "me", target: eve.agent_id, payload: "easy" });
    await until(() => receipts.types().includes("message.dead"));
    await until(() => done.length === 1);
    expect(errors).toEqual(Array(3).fill("Error: I cannot."));
    const { dead_letters } = await ksi.messages.deadLetters({ agent_id: eve.agent_id });
    expect(dead_letters).toMatchObject([{ message: { id, payload: "hard" }, reason: "max_deliveries", deliveries: 3 }]);
    isAble = true;
    expect(await ksi.messages.redrive({ agent_id: eve.agent_id, ids: [id] })).toMatchObject({ redriven: 1 });
    await until(() => done.length === 2);
    expect(done).toEqual(["easy", "hard"]);
    expect((await ksi.messages.deadLetters({ agent_id: eve.agent_id })).dead_letters).toEqual([]);
  });

  test("cuts in the middle lose no message and no acknowledgement, each or shared", async () => {
    const { host } = new URL(live.daemon.url);
    await using proxy = await startFaultProxy({ target: `http://${host}` });
    for (const mode of ["each", "shared"] as const) {
      await using ksi = connect(`http://${proxy.address}`);
      const fred = await join(ksi, `fred-${mode}`);
      const handled: unknown[] = [];
      const errors: unknown[] = [];
      const count = 300;
      {
        await using _fred = running((options) =>
          fred.handle(({ payload }) => void handled.push(payload), {
            ...options,
            mode,
            prefetch: 20,
            onError: (error) => errors.push(error),
          }),
        );
        const send = (payload: number) =>
          ksi.messages.send({ ...number, source: "me", target: fred.agent_id, payload });
        for (let payload = 0; payload < count; payload += 50) {
          const sending = Array.from({ length: 50 }, (_, index) => send(payload + index));
          await Promise.race(sending);
          if (payload % 100 === 0) proxy.cut();
          await Promise.all(sending);
        }
        await until(() => new Set(handled).size === count, { message: `all are handled (${mode})` });
      }
      expect(errors).toEqual([]);
      expect(await unacknowledged(fred, ksi)).toEqual([]);
      const { messages } = await ksi.messages.history({ target: fred.agent_id, event_type: "x.n", limit: 500 });
      expect(messages.map(({ payload }) => payload).toSorted((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: count }, (_, index) => index),
      );
    }
  });
});

/** What a new consumer would be given first. */
async function unacknowledged(agent: AgentHandle, ksi: KsiClient): Promise<unknown[]> {
  await ksi.messages.send({ source: "me", target: agent.agent_id, event_type: "x.last", payload: null });
  const found: unknown[] = [];
  for await (const { event_type, payload } of agent.inbox()) {
    if (event_type === "x.last") break;
    found.push(payload);
  }
  return found;
}

test("an agent goes on by itself when its daemon restarts, and hears what was sent as soon as it was back", async () => {
  await using folder = await createTempFolder();
  let own = await startLiveDaemon({ dataDir: folder.path });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => own[Symbol.asyncDispose]());
  await using ksi = createKsiClient({ ...own.daemon, retries: 20 });
  const gina = await ksi.agents.join({ agent_id: "gina" });
  const handled: unknown[] = [];
  await using _gina = running((options) => gina.handle(({ payload }) => void handled.push(payload), options));
  const send = (payload: number) => ksi.messages.send({ ...number, source: "me", target: "gina", payload });
  await send(1);
  await until(() => handled.length === 1);
  await own[Symbol.asyncDispose]();
  const second = send(2);
  own = await startLiveDaemon({ dataDir: folder.path, args: ["--port", new URL(own.daemon.url).port] });
  await second;
  await until(() => handled.length === 2);
  expect(handled).toEqual([1, 2]);
});

test("whoever handles messages goes on when Redis has begun to number anew, and loses none", async () => {
  await using redis = await startOwnRedis();
  // What the daemon then takes for a Redis that may come back without its last second.
  await redis.commands.config("SET", "appendfsync", "everysec");
  await using own = await startLiveDaemon({ env: { KSI_REDIS_URL: redis.url } });
  const greta = await own.ksi.agents.join({ agent_id: "greta" });
  const send = (payload: number) => own.ksi.messages.send({ ...number, source: "me", target: "greta", payload });
  const handled: unknown[] = [];
  await using _greta = running((options) => greta.handle(({ payload }) => void handled.push(payload), options));
  await send(1);
  await until(() => handled.length === 1);
  await redis.stop();
  await redis.start();
  await until(() =>
    send(2).then(
      () => true,
      () => false,
    ),
  );
  await until(() => handled.includes(2));
  await send(3);
  await until(() => handled.includes(3));
  expect(new Set(handled)).toEqual(new Set([1, 2, 3]));
});
