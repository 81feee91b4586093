import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { KsiError } from "@ksi/contract/errors";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import { silentLogger } from "../testing/fresh-redis.ts";
import { findRedisBinary } from "./binary.ts";
import { startEmbeddedRedis } from "./embedded.ts";
import { askRedis } from "./inline-command.ts";
import { identifyProcess } from "./process-identity.ts";
import { startStore } from "./store.ts";

test("the folder is private, the socket is this user's alone, and no port is open", async () => {
  await using folder = await createTempFolder();
  const dir = join(folder.path, "data", "redis");
  await using store = await startStore({ dir, logger: silentLogger });
  const path = join(dir, "redis.sock");
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await store.commands.config("GET", "port")).toEqual(["port", "0"]);
});

test("what was acknowledged is there after a restart, and after Redis was killed", async () => {
  await using folder = await createTempFolder();
  {
    await using store = await startStore({ dir: folder.path, logger: silentLogger });
    expect(await store.commands.config("GET", "appendfsync")).toEqual(["appendfsync", "always"]);
    await store.commands.set("before-close", "1");
  }
  {
    const redis = await startEmbeddedRedis({ dir: folder.path, logger: silentLogger });
    await using store = await startStore({ url: `unix://${redis.socketPath}`, logger: silentLogger });
    await store.commands.set("before-kill", "1");
    process.kill(redis.pid, "SIGKILL");
    await redis.close();
  }
  await using store = await startStore({ dir: folder.path, logger: silentLogger });
  expect(await store.commands.mget("before-close", "before-kill")).toEqual(["1", "1"]);
});

test("closing ends the process, frees the folder, and may be repeated", async () => {
  await using folder = await createTempFolder();
  const redis = await startEmbeddedRedis({ dir: folder.path, logger: silentLogger });
  await Promise.all([redis.close(), redis.close()]);
  expect(await identifyProcess(redis.pid)).toBeUndefined();
  expect(await readdir(folder.path)).toEqual(["appendonlydir"]);
});

test("a folder whose path is too long for a socket works, and keeps its data", async () => {
  await using folder = await createTempFolder();
  const dir = join(folder.path, "long".repeat(30), "with space and ü");
  {
    await using store = await startStore({ dir, logger: silentLogger });
    await store.commands.set("k", "v");
    expect(Buffer.byteLength(String(store.commands.options.path))).toBeLessThanOrEqual(107);
    await expect(startStore({ dir, logger: silentLogger })).rejects.toMatchObject({ code: "CONFLICT" });
  }
  await using store = await startStore({ dir, logger: silentLogger });
  expect(await store.commands.get("k")).toBe("v");
});

test("a second daemon on the folder is refused by pid and folder, and the first goes on", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(folder.path);
  await expect(startStore({ dir: folder.path, logger: silentLogger })).rejects.toMatchObject({
    code: "CONFLICT",
    message: `Another KSI daemon (pid ${daemon.pid}) uses ${folder.path}. Stop it, or give this one its own folder with KSI_DATA_DIR.`,
  });
  expect(await askRedis(join(folder.path, "redis.sock"), "PING")).toBe("+PONG");
});

test("of many that start at the same time one gets the folder", async () => {
  await using folder = await createTempFolder();
  const starts = await Promise.allSettled(
    Array.from({ length: 5 }, () => startEmbeddedRedis({ dir: folder.path, logger: silentLogger })),
  );
  const winners = starts.filter((start) => start.status === "fulfilled");
  const refusals = starts.filter((start) => start.status === "rejected");
  expect(winners).toHaveLength(1);
  expect(refusals.map(({ reason }) => reason.code)).toEqual(Array(4).fill("CONFLICT"));
  await winners[0]?.value.close();
});

test("Redis and its watcher end with a daemon that is killed", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(folder.path);
  const watcher = await findWatcher(daemon.pid);
  expect(await identifyProcess(watcher)).toBeDefined();
  await daemon.kill();
  await until(async () => (await identifyProcess(daemon.redisPid)) === undefined, { message: "Redis has ended" });
  await until(async () => (await identifyProcess(watcher)) === undefined, { message: "the watcher has ended" });
});

test("Redis ends too when the daemon's whole process group is killed", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(folder.path, { detached: true });
  process.kill(-daemon.pid, "SIGKILL");
  await until(async () => (await identifyProcess(daemon.redisPid)) === undefined, { message: "Redis has ended" });
});

test("Ctrl-C reaches the daemon and not its Redis, which has a process group of its own", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(folder.path, { detached: true });
  const { stdout } = await promisify(execFile)("ps", ["-o", "pgid=", "-p", String(daemon.redisPid)]);
  expect(Number(stdout)).toBe(daemon.redisPid);
  process.kill(-daemon.pid, "SIGINT");
  expect(await daemon.nextLine()).toBe("interrupted, and Redis says PONG");
});

test("a daemon starts on the folder of one that was just killed, and finds its data", async () => {
  await using folder = await createTempFolder();
  for (const round of [1, 2, 3]) {
    await using daemon = await startDaemon(folder.path);
    await daemon.kill();
    await using store = await startStore({ dir: folder.path, logger: silentLogger });
    expect(await store.commands.get("starts")).toBe(String(round));
  }
});

test("a Redis left by a killed daemon is waited for", async () => {
  await using folder = await createTempFolder();
  await using daemon = await startDaemon(folder.path);
  process.kill(daemon.redisPid, "SIGSTOP");
  await daemon.kill();
  const lines: string[] = [];
  const logger = { ...silentLogger, info: (_fields: object, line: string) => void lines.push(line) };
  const starting = startStore({ dir: folder.path, logger });
  await until(() => lines.some((line) => line.includes("still going down")), { message: "it waits" });
  process.kill(daemon.redisPid, "SIGCONT");
  await using store = await starting;
  expect(await store.commands.get("starts")).toBe("1");
});

test("a lock whose pid belongs to another process by now is taken over", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "lock"), JSON.stringify({ pid: process.ppid, started: "1", scope: "then" }));
  await using store = await startStore({ dir: folder.path, logger: silentLogger });
  expect(await store.commands.ping()).toBe("PONG");
});

test("a lock that was cut off by a full disk is taken over", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "lock"), '{"pid":');
  await using store = await startStore({ dir: folder.path, logger: silentLogger });
  expect(await store.commands.ping()).toBe("PONG");
});

test("a Redis that ends by itself is reported once, with how it ended", async () => {
  await using folder = await createTempFolder();
  const exits: KsiError[] = [];
  const redis = await startEmbeddedRedis({ dir: folder.path, logger: silentLogger, onExit: (e) => exits.push(e) });
  process.kill(redis.pid, "SIGKILL");
  await until(() => exits.length > 0, { message: "the exit is reported" });
  await redis.close();
  expect(exits).toHaveLength(1);
  expect(exits[0]).toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringMatching(/^The embedded Redis stopped by itself: it was ended by SIGKILL\. Its last words: /),
  });
});

test("a folder that is a file, or below one, is refused in one sentence", async () => {
  await using folder = await createTempFolder();
  const file = join(folder.path, "file");
  await writeFile(file, "");
  for (const dir of [file, join(file, "redis")]) {
    await expect(startStore({ dir, logger: silentLogger })).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      message: expect.stringContaining(`The folder ${dir} for Redis's data cannot be used: `),
    });
  }
});

test.skipIf(process.getuid?.() === 0)("a folder that cannot be written to is refused in one sentence", async () => {
  await using folder = await createTempFolder();
  await chmod(folder.path, 0o500);
  await expect(startStore({ dir: join(folder.path, "redis"), logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("may not write there"),
  });
  await chmod(folder.path, 0o700);
});

test("data that Redis cannot read are left alone, and Redis's reason is told", async () => {
  await using folder = await createTempFolder();
  await (await startEmbeddedRedis({ dir: folder.path, logger: silentLogger })).close();
  const log = join(folder.path, "appendonlydir", "appendonly.aof.1.incr.aof");
  await writeFile(log, "this is no append-only file\n");
  await expect(startStore({ dir: folder.path, logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringMatching(/did not start: it ended with code 1\. Its last words: .*Bad file format/s),
  });
  expect(await readFile(log, "utf8")).toBe("this is no append-only file\n");
  expect(await readdir(folder.path)).not.toContain("lock");
});

test("a binary that answers --version and then fails is reported with what it printed", async () => {
  await using folder = await createTempFolder();
  const binary = join(folder.path, "broken redis-server");
  const script =
    '#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.2.0" && exit 0\necho "no such luck"; exit 3\n';
  await writeFile(binary, script, { mode: 0o755 });
  await expect(startStore({ dir: folder.path, binary, logger: silentLogger })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: `The embedded Redis (${binary}) did not start: it ended with code 3. Its last words: no such luck`,
  });
});

test("a binary in a folder with spaces works", async () => {
  await using folder = await createTempFolder();
  const bin = join(folder.path, "my programs");
  await mkdir(bin);
  const real = await findRedisBinary({ logger: silentLogger });
  await writeFile(join(bin, "redis-server"), `#!/bin/sh\nexec "${real}" "$@"\n`, { mode: 0o755 });
  const options = { dir: join(folder.path, "data"), binary: join(bin, "redis-server"), logger: silentLogger };
  await using store = await startStore(options);
  expect(await store.commands.ping()).toBe("PONG");
});

interface Daemon extends AsyncDisposable {
  readonly pid: number;
  readonly redisPid: number;
  nextLine(): Promise<string>;
  /** SIGKILL, and waits until it is dead. */
  kill(): Promise<void>;
}

const program = `
import { startStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
const quiet = () => undefined;
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const store = await startStore({ dir: process.argv[1], logger });
await store.commands.incr("starts");
process.on("SIGINT", async () => console.log("interrupted, and Redis says " + (await store.commands.ping())));
const [, pid] = /process_id:(\\d+)/.exec(await store.commands.info("server"));
console.log(pid);
`;

/** A process of its own that has an embedded Redis on the folder. */
async function startDaemon(dir: string, options: { detached?: boolean } = {}): Promise<Daemon> {
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module", "--eval", program, dir], {
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const nextLine = async () => String((await lines.next()).value);
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  const redisPid = Number(await nextLine());
  return { pid: child.pid ?? 0, redisPid, nextLine, kill, [Symbol.asyncDispose]: () => endAll(kill, redisPid) };
}

async function endAll(kill: () => Promise<void>, redisPid: number): Promise<void> {
  await kill();
  await until(async () => (await identifyProcess(redisPid)) === undefined, { message: "the daemon's Redis has ended" });
}

/** The watcher that a daemon started, while both run. */
async function findWatcher(daemonPid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="]);
  const line = stdout.split("\n").find((text) => text.includes("ksi-redis-watcher") && text.includes(` ${daemonPid} `));
  return Number(line?.trim().split(/\s+/)[0]);
}
