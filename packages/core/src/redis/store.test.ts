import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { silentLogger, startFreshRedis } from "../testing/fresh-redis.ts";
import { startStoppableRedis } from "../testing/stoppable-redis.ts";
import { startStore } from "./store.ts";

test("a fresh Redis is empty, private and of a version that KSI supports", async () => {
  await using redis = await startFreshRedis();
  expect(redis.store.mode).toBe("embedded");
  expect(await redis.store.commands.dbsize()).toBe(0);
  const info = await redis.store.info();
  expect(Number.parseInt(info.version, 10)).toBeGreaterThanOrEqual(7);
  expect(info.used_memory_bytes).toBeGreaterThan(0);
  expect(info.connected_clients).toBe(1);
});

test("replies have the shapes of RESP2: HGETALL an object, ZRANGE WITHSCORES strings", async () => {
  await using redis = await startFreshRedis();
  const { commands } = redis.store;
  await commands.hset("h", { a: "1" });
  expect(await commands.hgetall("h")).toEqual({ a: "1" });
  await commands.zadd("z", 1.5, "m");
  expect(await commands.zrange("z", "0", "-1", "WITHSCORES")).toEqual(["m", "1.5"]);
  expect(await commands.call("HGETALL", "h")).toEqual(["a", "1"]);
});

test("a second store reaches the same Redis by its URL", async () => {
  await using redis = await startFreshRedis();
  await redis.store.commands.set("k", "v");
  await using external = await startStore({ url: redis.url, logger: silentLogger });
  expect(external.mode).toBe("external");
  expect(await external.commands.get("k")).toBe("v");
});

test("a store on which nothing listens is refused with the address and the reason", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await expect(
    startStore({ url: `redis://:secret@127.0.0.1:${port}`, logger: silentLogger, connectTimeoutMs: 200 }),
  ).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: `KSI cannot use the Redis at 127.0.0.1:${port}. Nothing answers at Redis's address. Is it running?`,
  });
});

test("a store that accepts and never answers is refused when the time is over", async () => {
  await using server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await expect(
    startStore({ url: `redis://127.0.0.1:${port}`, logger: silentLogger, connectTimeoutMs: 200 }),
  ).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", message: expect.stringContaining("took too long") });
});

test("a Redis that is too old is refused with both versions", async () => {
  const info = "# Server\r\nredis_version:6.2.14\r\nloading:0\r\n";
  await using server = createServer((socket) => {
    socket.on("data", (data) => {
      // One reply per command, as a server without RESP3 would: an error for HELLO, the text for INFO, OK for others.
      for (const command of data.toString().split(/(?=\*\d+\r\n)/)) {
        if (/hello/i.test(command)) socket.write("-NOPROTO unsupported protocol version\r\n");
        else if (/\binfo\b/i.test(command)) socket.write(`$${info.length}\r\n${info}\r\n`);
        else socket.write("+OK\r\n");
      }
    });
    socket.on("error", () => socket.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await expect(startStore({ url: `redis://127.0.0.1:${port}`, logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: `The Redis at 127.0.0.1:${port} is version 6.2. KSI needs 7.0 or newer.`,
  });
});

test("a Redis that asks for a password says so at once", async () => {
  await using redis = await startFreshRedis();
  await redis.store.commands.config("SET", "requirepass", "hush");
  await expect(startStore({ url: redis.url, logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("asks for a password"),
  });
  const wrong = redis.url.replace("unix://", "unix://:guess@");
  await expect(startStore({ url: wrong, logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.not.stringContaining("guess"),
  });
  await using store = await startStore({ url: redis.url.replace("unix://", "unix://:hush@"), logger: silentLogger });
  expect(await store.commands.ping()).toBe("PONG");
});

test("writes to a full and to a read-only Redis fail with the reason, in scripts and pipelines too", async () => {
  await using redis = await startFreshRedis();
  const { commands } = redis.store;
  await commands.config("SET", "maxmemory", "1");
  const outOfMemory = { code: "STORE_UNAVAILABLE", message: expect.stringContaining("out of memory") };
  await expect(commands.set("k", "v")).rejects.toMatchObject(outOfMemory);
  await expect(commands.eval("return redis.call('SET', KEYS[1], 'v')", 1, "k")).rejects.toMatchObject(outOfMemory);
  const [[error] = []] = (await commands.pipeline().set("k", "v").exec()) ?? [];
  expect(error).toMatchObject(outOfMemory);
  await commands.config("SET", "maxmemory", "0");
  await commands.replicaof("127.0.0.1", "1");
  await expect(commands.set("k", "v")).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("read-only replica"),
  });
});

test("a wrong command stays the error that Redis gave", async () => {
  await using redis = await startFreshRedis();
  await redis.store.commands.set("k", "v");
  await expect(redis.store.commands.lpush("k", "x")).rejects.toThrow(/^WRONGTYPE/);
});

test("a script that Redis has forgotten is sent again", async () => {
  await using redis = await startFreshRedis();
  const commands = redis.store.commands as typeof redis.store.commands & { answer(): Promise<number> };
  commands.defineCommand("answer", { numberOfKeys: 0, lua: "return 42" });
  expect(await commands.answer()).toBe(42);
  await commands.script("FLUSH");
  expect(await commands.answer()).toBe(42);
});

test("a call fails within seconds while Redis is silent", async () => {
  await using redis = await startStoppableRedis();
  await using store = await startStore({ url: redis.url, logger: silentLogger });
  redis.signal("SIGSTOP");
  await expect(store.commands.set("k", "v")).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("took too long"),
    details: { outcome: "unknown" },
  });
  redis.signal("SIGCONT");
  expect(await store.commands.ping()).toBe("PONG");
});

test("a call that failed while the connection was being made is not carried out later", async () => {
  await using redis = await startStoppableRedis();
  await using store = await startStore({ url: redis.url, logger: silentLogger });
  redis.signal("SIGSTOP");
  store.commands.disconnect(true);
  await until(() => store.commands.status === "connect", { message: "the handshake waits" });
  const refused = await store.commands.set("k", "v").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "STORE_UNAVAILABLE", details: undefined });
  redis.signal("SIGCONT");
  await until(() => store.commands.ping().catch(() => undefined), { message: "Redis is back" });
  expect(await store.commands.get("k")).toBeNull();
});

test("calls fail at once when the connection breaks, and work again when Redis is back", async () => {
  await using folder = await createTempFolder();
  const first = await startStoppableRedis(folder.path);
  await using store = await startStore({ url: first.url, logger: silentLogger });
  first.signal("SIGSTOP");
  const underWay = expect(store.commands.incr("n")).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("may or may not have arrived"),
    details: { outcome: "unknown" },
  });
  await first[Symbol.asyncDispose]();
  await underWay;
  const refused = await store.commands.incr("n").catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "STORE_UNAVAILABLE", details: undefined });

  await using _second = await startStoppableRedis(folder.path);
  expect(await until(() => store.commands.incr("n").catch(() => undefined), { message: "Redis is back" })).toBe(1);
});

test("a subscriber subscribes again by itself when Redis is back", async () => {
  await using folder = await createTempFolder();
  const first = await startStoppableRedis(folder.path);
  await using store = await startStore({ url: first.url, logger: silentLogger });
  const subscriber = store.connect("subscriber", "subscriber");
  const received: string[] = [];
  subscriber.on("message", (_channel, message: string) => received.push(message));
  await subscriber.subscribe("c");
  await first[Symbol.asyncDispose]();

  await using _second = await startStoppableRedis(folder.path);
  await until(() => store.commands.publish("c", "hello").catch(() => 0), { message: "somebody listens" });
  await until(() => received.includes("hello"), { message: "the message arrives" });
});

test("a queue's connection waits until Redis is back", async () => {
  await using folder = await createTempFolder();
  const first = await startStoppableRedis(folder.path);
  await using store = await startStore({ url: first.url, logger: silentLogger });
  const queue = store.connect("queue", "queue");
  await queue.ping();
  await first[Symbol.asyncDispose]();
  const answer = queue.incr("n");
  await using _second = await startStoppableRedis(folder.path);
  expect(await answer).toBe(1);
});

test("a lost connection is logged once, and once when it is back", async () => {
  await using folder = await createTempFolder();
  const lines: string[] = [];
  const logger = { ...silentLogger, warn: log, info: log };
  function log(_fields: object, message: string) {
    lines.push(message);
  }
  const first = await startStoppableRedis(folder.path);
  await using store = await startStore({ url: first.url, logger });
  await first[Symbol.asyncDispose]();
  await until(() => lines.length > 0, { message: "the outage is logged" });
  await using _second = await startStoppableRedis(folder.path);
  await until(() => store.commands.ping().catch(() => undefined), { message: "Redis is back" });
  expect(lines).toEqual([expect.stringMatching(/^Redis is away: /), "Redis is back."]);
});

test("a Redis that was never there is told by the error alone", async () => {
  const lines: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: object, message: string) => void lines.push(message) };
  await expect(startStore({ url: "unix:///nowhere/s", logger, connectTimeoutMs: 200 })).rejects.toThrow("not exist");
  expect(lines).toEqual([]);
});

test("a connection whose other side went without a word is replaced", async () => {
  await using redis = await startFreshRedis();
  const forwarded: Socket[] = [];
  const proxy = createServer((caller) => {
    const onward = connect(redis.store.commands.options.path ?? "");
    caller.pipe(onward).pipe(caller);
    for (const socket of [caller, onward]) forwarded.push(socket.on("error", () => undefined));
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  await using store = await startStore({ url: `redis://127.0.0.1:${port}`, logger: silentLogger });
  for (const socket of forwarded) socket.unpipe().pause();

  await expect(store.commands.ping()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await until(async () => (await store.commands.ping().catch(() => "")) === "PONG");
  proxy.close();
  for (const socket of forwarded) socket.destroy();
});
