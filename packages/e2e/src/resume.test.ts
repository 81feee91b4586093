/**
 * A subscriber that comes back with its cursor to a daemon with a Redis of its own: after a restart it misses nothing, and
 * where it cannot go on without a hole it is told why. Each through tRPC, event streams and the plain socket.
 */
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { KsiClient } from "@ksi/client";
import type { KsiEvent } from "@ksi/contract";
import { startStore } from "@ksi/core";
import { createTempFolder, until } from "@ksi/testing";
import { describe, expect, test } from "vitest";
import { type Door, doors, type Ending, type Followed, findFaults, openOnce, startFollower } from "./followers.ts";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";

const isEnd = ({ event_type }: KsiEvent) => event_type === "x.end";

describe("a follower across a restart on the same data goes on without a hole or a repeat", () => {
  const ways = [
    { name: "a clean stop", stop: async ({ daemon }: LiveDaemon) => expect(await daemon.stop()).toBe(0) },
    { name: "a kill -9 of the daemon", stop: async ({ daemon }: LiveDaemon) => void (await daemon.stop("SIGKILL")) },
    { name: "a kill -9 of its Redis", stop: killRedis },
  ];

  test.for(ways)("$name", async ({ stop }) => {
    await using folder = await createTempFolder();
    let live = await startLiveDaemon({ dataDir: folder.path });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => live[Symbol.asyncDispose]());
    const acknowledged: string[] = [];
    const publishOne = async () => {
      const { id } = await live.ksi.events.publish({ source: "tester", event_type: "x.n", payload: null });
      acknowledged.push(id);
    };
    await publishOne();
    const followers = doors.map((door) => stack.use(startFollower(door, live.daemon, isEnd)));
    await until(() => followers.every(({ events }) => events.length > 0), { message: "all follow" });

    // Until the daemon stops under it: what was acknowledged last is what could be lost.
    const publishing = Promise.allSettled(
      [1, 2, 3].map(async () => {
        for (;;) await publishOne();
      }),
    );
    await until(() => acknowledged.length > 300, { message: "events are published" });
    await stop(live);
    await publishing;
    await live[Symbol.asyncDispose]();
    const { port } = new URL(live.daemon.url);
    live = await startLiveDaemon({ dataDir: folder.path, args: ["--port", port] });
    for (let i = 0; i < 5; i++) await publishOne();
    await publish(live.ksi, 1, "x.end");

    await until(() => followers.every(({ isComplete }) => isComplete), { message: "all are complete" });
    for (const follower of followers) {
      expect(findFaults(follower), follower.door).toEqual([]);
      const ids = new Set(follower.events.map(({ id }) => id));
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    }
  });
});

test("after the whole data directory was replaced, a cursor means nothing any more, and that is said", async () => {
  await using folder = await createTempFolder();
  let cursor: string;
  {
    await using live = await startLiveDaemon({ dataDir: folder.path });
    await publish(live.ksi, 3);
    cursor = (await readSome(live.daemon, 2)).at(-1)?.cursor ?? "";
  }
  await rename(join(folder.path, "redis"), join(folder.path, "redis-before"));
  await using live = await startLiveDaemon({ dataDir: folder.path });
  const gap = { code: "HISTORY_TRIMMED", reason: "epoch_changed" };
  for (const door of doors) {
    const ending = await meetGap(door, live.daemon, cursor);
    expect(ending).toEqual({ status: statusOf(door), ...gap, oldest: undefined });
  }

  await publish(live.ksi, 3);
  const kept = await readSome(live.daemon, 3);
  for (const door of doors) {
    const ending = await meetGap(door, live.daemon, cursor);
    expect(ending).toEqual({ status: statusOf(door), ...gap, oldest: expect.any(String) });
    expect(await readSome(live.daemon, 3, { door, after: String(ending.oldest) })).toEqual(kept);
  }
});

test("behind what was trimmed a cursor is refused with the place from which one can go on", async () => {
  await using live = await startLiveDaemon({ env: { KSI_HISTORY_MAX_EVENTS: "100" } });
  await publish(live.ksi, 1);
  const [first] = await readSome(live.daemon, 1);
  await publish(live.ksi, 500);
  await publish(live.ksi, 1, "x.end");
  for (const door of doors) {
    const ending = await meetGap(door, live.daemon, first?.cursor ?? "");
    expect(ending).toEqual({
      status: statusOf(door),
      code: "HISTORY_TRIMMED",
      reason: "trimmed",
      oldest: expect.any(String),
    });
    await using follower = startFollower(door, live.daemon, isEnd, String(ending.oldest));
    await until(() => follower.isComplete, { message: "what is kept" });
    expect(findFaults(follower)).toEqual([]);
    expect(follower.endings).toEqual([]);
    expect(follower.events.length).toBeGreaterThanOrEqual(100);
    expect(follower.events.length).toBeLessThan(400);
  }
});

/** The daemon ends with it, since nothing can be stored any more. */
async function killRedis({ daemon, dataDir }: LiveDaemon): Promise<void> {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  await using redis = await startStore({ url: `unix://${dataDir}/redis/redis.sock`, logger });
  const pid = Number(/process_id:(\d+)/.exec(await redis.commands.info("server"))?.[1]);
  const exited = once(daemon.process, "exit");
  process.kill(pid, "SIGKILL");
  expect(await exited).toEqual([7, null]);
}

async function publish(ksi: KsiClient, count: number, event_type: `x.${string}` = "x.n"): Promise<void> {
  const event = { source: "tester", event_type, payload: null };
  await Promise.all(Array.from({ length: count }, () => ksi.events.publish(event)));
}

interface ReadOptions {
  door?: Door;
  after?: string;
}

/** So many events of the firehose, from the oldest on. */
async function readSome(daemon: Followed, count: number, { door = "tRPC", after }: ReadOptions = {}) {
  const entries: { cursor: string; event: KsiEvent }[] = [];
  const enough = new AbortController();
  const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(10_000)]);
  const onEntry = (cursor: string, event: KsiEvent) => {
    if (entries.push({ cursor, event }) === count) enough.abort();
  };
  await openOnce(door, daemon, { after }, onEntry, signal);
  expect(enough.signal.aborted).toBe(true);
  return entries;
}

async function meetGap(door: Door, daemon: Followed, after: string): Promise<Ending> {
  const onEntry = (_cursor: string, { id }: KsiEvent) => expect.unreachable(`${id} came without a word of the gap`);
  return await openOnce(door, daemon, { after }, onEntry, AbortSignal.timeout(10_000));
}

function statusOf(door: Door): number {
  return door === "/ws" ? 4_412 : 412;
}
