import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { type Store, startStore } from "./redis/store.ts";
import { type FreshLog, startFreshLog, take } from "./testing/fresh-log.ts";
import { silentLogger } from "./testing/fresh-redis.ts";
import { type StoppableRedis, startStoppableRedis } from "./testing/stoppable-redis.ts";

interface Numbered {
  n: number;
}

const channel = "numbers";
const everySecond = ["--appendonly", "yes", "--appendfsync", "everysec"];
const always = ["--appendonly", "yes", "--appendfsync", "always"];

test("a Redis that syncs each write goes on after a kill, with its cursors", async () => {
  await using world = await startWorld(always);
  expect(world.store.mayLoseTail).toBe(false);
  await append(world.log, 1, 5);
  const [, , third] = await read(world.log, 5);
  await world.restart();
  await append(world.log, 6, 7);
  expect((await read(world.log, 4, third?.cursor)).map(({ event }) => event.n)).toEqual([4, 5, 6, 7]);
});

test("after a Redis that may have lost its tail has restarted, numbers are of a new epoch, and old cursors are a gap", async () => {
  await using world = await startWorld(everySecond);
  expect(world.store.mayLoseTail).toBe(true);
  await append(world.log, 1, 3);
  await world.save();
  await append(world.log, 4, 6);
  const before = await read(world.log, 6);
  await world.restart({ from: "saved" });

  // It has numbers 1 to 3 only, and what is appended now takes the place of 4 and 5.
  await append(world.log, 14, 15);
  for (const { cursor, event } of before) {
    if (event.n < 3) continue;
    await expect(read(world.log, 1, cursor)).rejects.toMatchObject({
      code: "HISTORY_TRIMMED",
      details: { reason: "epoch_changed" },
    });
  }
  const [after] = await read(world.log, 1, before[1]?.cursor);
  expect(after?.event.n).toBe(3);
  const told = await read(world.log, 1, before[2]?.cursor).catch((error) => error.details.oldest);
  const rest = await read(world.log, 2, told);
  expect(rest.map(({ event }) => event.n)).toEqual([14, 15]);
  const known = new Set(before.map(({ cursor }) => cursor));
  expect(rest.some(({ cursor }) => known.has(cursor))).toBe(false);
});

test("who follows while Redis restarts without its tail is told, and not given a number twice", async () => {
  await using world = await startWorld(everySecond);
  await append(world.log, 1, 3);
  await world.save();
  const follow = (await world.log.log.follow<Numbered>(channel))[Symbol.asyncIterator]();
  await append(world.log, 4, 6);
  expect(await take(follow, 6)).toHaveLength(6);
  const next = follow.next();
  const outcome = expect(next).rejects.toMatchObject({ details: { reason: "epoch_changed" } });
  await world.restart({ from: "saved" });
  await append(world.log, 14, 14);
  await outcome;
});

test("several processes agree on the new epoch", async () => {
  await using world = await startWorld(everySecond);
  await append(world.log, 1, 3);
  await world.restart();
  await using other = await world.connect();
  await Promise.all([append(world.log, 4, 6), append(other.log, 7, 9)]);
  const cursors = await readAll(world.log);
  const epochs = new Set(cursors.map((cursor) => cursor.split(".")[0]));
  expect(epochs.size).toBe(2);
  expect(cursors).toHaveLength(9);
});

test("an epoch of a Redis that was trusted is kept when it is not any more, until it restarts", async () => {
  await using world = await startWorld(always);
  await append(world.log, 1, 2);
  await world.store.commands.config("SET", "appendfsync", "everysec");
  await using other = await world.connect();
  expect(other.store.mayLoseTail).toBe(true);
  await append(other.log, 3, 4);
  expect(new Set((await readAll(world.log)).map((cursor) => cursor.split(".")[0])).size).toBe(1);
});

interface Connected extends AsyncDisposable {
  readonly store: Store;
  readonly log: FreshLog;
}

interface World extends Connected {
  /** One more process. */
  connect(): Promise<Connected>;
  /** Remembers Redis's files, with all that was written so far. */
  save(): Promise<void>;
  /** Kills Redis when its files have all, and starts it with them, or with those that were saved. */
  restart(files?: { from: "saved" }): Promise<void>;
}

async function startWorld(settings: readonly string[]): Promise<World> {
  const folder = await createTempFolder("ksi-epoch-");
  const saved = await createTempFolder("ksi-epoch-saved-");
  let redis: StoppableRedis = await startStoppableRedis(folder.path, settings);
  const tenant = "numbers-tenant";
  const connect = async (): Promise<Connected> => {
    const store = await startStore({ url: redis.url, logger: silentLogger });
    const log = startFreshLog(store, { tenant, retryMs: 20_000 });
    return {
      store,
      log,
      [Symbol.asyncDispose]: async () => {
        await log[Symbol.asyncDispose]();
        await store.close();
      },
    };
  };
  const connected = await connect();
  const files = "appendonlydir";
  // With everysec a write waits in Redis's memory for as long as the sync of earlier ones takes, up to 2 s.
  const written = () =>
    until(async () => (await connected.store.commands.info("persistence")).includes("aof_buffer_length:0\r\n"), {
      message: "Redis's files have all that was written",
    });
  return {
    ...connected,
    connect,
    async save() {
      await written();
      await cp(join(folder.path, files), join(saved.path, files), { recursive: true });
    },
    async restart(from) {
      await written();
      redis.signal("SIGKILL");
      await redis.ended;
      if (from) {
        await rm(join(folder.path, files), { recursive: true });
        await cp(join(saved.path, files), join(folder.path, files), { recursive: true });
      }
      redis = await startStoppableRedis(folder.path, settings);
    },
    [Symbol.asyncDispose]: async () => {
      await connected[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
      await saved[Symbol.asyncDispose]();
    },
  };
}

async function append({ log }: FreshLog, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await log.append({ event: { n }, channels: [channel] });
}

/** The next `count` after the cursor. */
async function read({ log }: FreshLog, count: number, after?: string) {
  const follow = (await log.follow<Numbered>(channel, { after, from: "oldest" }))[Symbol.asyncIterator]();
  const entries = await take(follow, count);
  await follow.return?.();
  return entries;
}

/** The cursors of all that is kept, over the borders of epochs. */
async function readAll({ log }: FreshLog): Promise<string[]> {
  const cursors: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await log
      .page<Numbered>(channel, { after, limit: 100 })
      .catch((error) => error.details.oldest as string);
    if (typeof page === "string") {
      after = page;
      continue;
    }
    cursors.push(...page.entries.map(({ cursor }) => cursor));
    if (page.next === undefined) return cursors;
    after = page.next;
  }
}
