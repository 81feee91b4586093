import { expect, test } from "vitest";
import { type Position, StoredEntry } from "./event-log-entry.ts";
import type { ChannelReader, PageLimits, Place } from "./event-log-reader.ts";
import { shareReads } from "./event-log-shared-reader.ts";

const limits: PageLimits = { maxEntries: 200, maxBytes: 1_000_000 };
const at = (number: number): Position => ({ epoch: 1, number });

test("pages end at round numbers, so that readers that began apart read alike", async () => {
  const { reader, calls } = createCountedReader({ last: 1_000 });
  const shared = shareReads(reader);
  expect(await readOn(shared, at(130), 3)).toEqual([200, 400, 600]);
  expect(await readOn(shared, at(7), 3)).toEqual([200, 400, 600]);
  expect(calls.map(({ number }) => number)).toEqual([130, 200, 400, 7]);
});

test("a page that reached the end is read again, since more may have come", async () => {
  const { reader, calls, append } = createCountedReader({ last: 250 });
  const shared = shareReads(reader);
  expect((await shared.read("c", at(200), limits)).entries).toHaveLength(50);
  append(10);
  expect((await shared.read("c", at(200), limits)).entries).toHaveLength(60);
  expect(calls).toHaveLength(2);
});

test("reads of one place are one call within a turn, and another after whatever comes next", async () => {
  const { reader, calls } = createCountedReader({ last: 250 });
  const shared = shareReads(reader);
  const [first, second] = await Promise.all([at(200), at(200)].map((place) => shared.read("c", place, limits)));
  expect(first).toBe(second);
  const slow = shared.read("c", at(200), limits);
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([slow, shared.read("c", at(200), limits)]);
  expect(calls).toHaveLength(3);
});

test("pages of two channels are told apart, and so are those of two places with one number", async () => {
  const { reader, calls } = createCountedReader({ last: 1_000 });
  const shared = shareReads(reader);
  await shared.read("c", at(200), limits);
  await shared.read("d", at(200), limits);
  await shared.read("c", { epoch: 2, number: 200 }, limits);
  expect(calls).toHaveLength(3);
});

test("what is kept is bounded, and what was used last stays", async () => {
  const { reader, calls } = createCountedReader({ last: 100_000, json: `{"text":"${"x".repeat(1_000)}"}` });
  const shared = shareReads(reader);
  const places = Array.from({ length: 20 }, (_, i) => at(i * 200));
  for (const place of places) {
    await shared.read("c", place, limits);
    await shared.read("c", at(0), limits);
  }
  expect(calls).toHaveLength(20);
  for (const place of places.slice(-5)) await shared.read("c", place, limits);
  expect(calls).toHaveLength(20);
  await shared.read("c", at(200), limits);
  expect(calls).toHaveLength(21);
});

test("a read that fails is not kept", async () => {
  let failures = 1;
  const { reader } = createCountedReader({ last: 1_000 });
  const shared = shareReads({
    read: async (...args) => {
      if (failures-- > 0) throw new Error("away");
      return await reader.read(...args);
    },
  });
  await expect(shared.read("c", at(0), limits)).rejects.toThrow("away");
  await new Promise((resolve) => setImmediate(resolve));
  expect((await shared.read("c", at(0), limits)).entries).toHaveLength(200);
});

/** The numbers at which the pages end. */
async function readOn(reader: Pick<ChannelReader, "read">, from: Position, pages: number): Promise<unknown[]> {
  const ends: unknown[] = [];
  let place: Place = from;
  for (let page = 0; page < pages; page++) {
    place = (await reader.read("c", place, limits)).next;
    ends.push((place as Position).number);
  }
  return ends;
}

/** A channel in memory, whose reads answer a turn later. */
function createCountedReader({ last, json = "{}" }: { last: number; json?: string }) {
  const calls: Position[] = [];
  let end = last;
  const reader: Pick<ChannelReader, "read"> = {
    async read<E>(_channel: string, place: Place, { maxEntries }: PageLimits) {
      const { epoch, number } = place as Position;
      calls.push({ epoch, number });
      await new Promise((resolve) => setImmediate(resolve));
      const until = Math.min(end, number + maxEntries);
      const entries = Array.from(
        { length: until - number },
        (_, i) => new StoredEntry<E>(`${epoch}.${number + 1 + i}`, json),
      );
      return { entries, next: { epoch, number: until }, hasMore: until < end };
    },
  };
  const append = (count: number) => {
    end += count;
  };
  return { reader, calls, append };
}
