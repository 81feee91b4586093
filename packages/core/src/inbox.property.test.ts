/** Inboxes against a model: what is sent, acknowledged, expired and redriven, and consumers that come, crash and go on. */
import type { Entry, Message } from "@ksi/contract";
import { until } from "@ksi/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const senders = ["alice", "carol"];
const mode = fc.constantFrom("each" as const, "shared" as const);
const of = fc.nat({ max: 1 });
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      from: of,
      via: of,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("send briefly" as const), from: of, via: of }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("open" as const), via: of, mode, prefetch: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      consumer: fc.nat(),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("ack" as const),
      consumer: fc.nat(),
      via: of,
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("crash" as const), consumer: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("resume" as const), consumer: fc.nat(), via: of }) },
);

interface Consumer {
  readonly mode: "each" | "shared";
  readonly inbox: AsyncIterator<Entry<Message>>;
  /** In order, as received. */
  readonly got: Entry<Message>[];
  /** What was asked for and has not come yet. */
  reading: Promise<unknown>;
  isOpen: boolean;
  readonly faults: string[];
}

test("whatever happens to an inbox, nothing is lost, nothing is acknowledged twice, and each sender's order is kept", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      // Two servers on one Redis. Nothing dies of being delivered, so that all that is not acknowledged comes again.
      const messaging = { maxDeliveries: 1_000_000 };
      await using here = await startFreshMessages(redis.store, { messaging });
      const { tenant } = here.fresh;
      await using there = await startFreshMessages(redis.store, { messaging, tenant, agents: [] });
      const servers = [here, there];
      const server = (i: number) => servers[i] as FreshMessages;
      const consumers: Consumer[] = [];
      const unacked = new Map<string, { from: string; n: number }>();
      const brief = new Set<string>();
      const acked: string[] = [];
      const holders: Holders = new Map();
      let sent = 0;

      const open = async (
        via: FreshMessages,
        input: Parameters<FreshMessages["inbox"]>[0] & { mode: Consumer["mode"] },
      ) => {
        const inbox = await via.inbox(input);
        const consumer: Consumer = {
          mode: input.mode,
          inbox,
          got: [],
          reading: Promise.resolve(),
          isOpen: true,
          faults: [],
        };
        consumers.push(consumer);
        return consumer;
      };
      const send = async (via: number, from: number, more?: { ttl_ms: number }) => {
        const source = senders[from] as string;
        const n = ++sent;
        const id = await server(via).send(n, { source, ...more });
        if (more) brief.add(id);
        else unacked.set(id, { from: source, n });
      };
      const ack = async (via: number, ids: string[]) => {
        const fresh = ids.filter((id) => unacked.has(id));
        const { acked: count } = await server(via).port.ack({ agent_id: "bob", ids });
        const stillThere = ids.filter((id) => brief.has(id)).length;
        expect(count).toBeGreaterThanOrEqual(fresh.length);
        expect(count).toBeLessThanOrEqual(fresh.length + stillThere);
        for (const id of fresh) unacked.delete(id);
        for (const id of ids) holders.delete(id);
        for (const id of ids) brief.delete(id);
        acked.push(...fresh);
      };
      const pick = (i: number) => consumers.filter(({ isOpen }) => isOpen)[i % (consumers.length || 1)];

      for (const what of steps) {
        if (what.do === "send") {
          for (let i = 0; i < what.count; i++) await send(what.via, what.from);
        } else if (what.do === "send briefly") {
          await send(what.via, what.from, { ttl_ms: 5 });
        } else if (what.do === "open") {
          await open(server(what.via), { mode: what.mode, prefetch: what.prefetch });
        } else if (what.do === "read") {
          const consumer = pick(what.consumer);
          if (consumer) read(consumer, what.count, holders);
        } else if (what.do === "ack") {
          const got = pick(what.consumer)?.got ?? [];
          const ids = got.slice(0, Math.ceil(what.part * got.length)).map(({ event }) => event.id);
          if (ids.length > 0) await ack(what.via, [...new Set(ids)]);
        } else if (what.do === "crash") {
          const consumer = pick(what.consumer);
          if (consumer) await close(consumer);
        } else {
          const old = pick(what.consumer);
          const cursor = old?.got.at(-1)?.cursor;
          if (old?.mode === "each" && cursor !== undefined) {
            await close(old);
            const resumed = await open(server(what.via), { mode: "each", lastEventId: cursor });
            // What it goes on with comes after all that it had: one story.
            resumed.got.push(...old.got);
          }
        }
      }

      for (const consumer of consumers) {
        await close(consumer);
        expectOrder(consumer);
      }
      // Whoever comes now gets exactly what was never acknowledged, in the order sent.
      const rest = await open(here, { mode: "each" });
      read(rest, Number.POSITIVE_INFINITY, holders);
      await until(() => [...unacked.keys()].every((id) => rest.got.some(({ event }) => event.id === id)));
      const left = rest.got.map(({ event }) => event.id).filter((id) => !brief.has(id));
      expect(left).toEqual([...unacked.keys()]);
      await close(rest);
      expect(new Set(acked).size).toBe(acked.length);
      const receipts = await here.told("message.acked");
      const told = receipts.map(({ payload }) => (payload as { message_id: string }).message_id);
      expect(new Set(told).size).toBe(told.length);
      for (const id of acked) expect(told).toContain(id);
      for (const id of unacked.keys()) expect(told).not.toContain(id);
    }),
    { numRuns: 40 },
  );
});

/** Who holds what of a shared inbox. */
type Holders = Map<string, Consumer>;

/** Reads on for as long as it is open; what it was asked for may never come. */
function read(consumer: Consumer, count: number, holders: Holders): void {
  consumer.reading = consumer.reading.then(async () => {
    for (let i = 0; i < count && consumer.isOpen; i++) {
      const { done, value } = await consumer.inbox.next();
      if (done) return;
      consumer.got.push(value);
      if (consumer.mode !== "shared") continue;
      const other = holders.get(value.event.id);
      if (other?.isOpen) consumer.faults.push(`got ${value.event.payload}, which another one holds`);
      holders.set(value.event.id, consumer);
    }
  });
}

async function close(consumer: Consumer): Promise<void> {
  consumer.isOpen = false;
  await consumer.inbox.return?.();
  await consumer.reading;
  expect(consumer.faults).toEqual([]);
}

/** Who gets everything gets it in the order sent, each message once. */
function expectOrder({ mode, got }: Consumer): void {
  if (mode === "shared") return;
  for (const sender of senders) {
    const numbers = got.filter(({ event }) => event.source === sender).map(({ event }) => Number(event.payload));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  }
}
