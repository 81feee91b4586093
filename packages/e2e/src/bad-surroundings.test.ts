/** What the daemon does where something around it is not as it should be: Redis, the disk, its folder, its settings. */
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { startStore } from "@ksi/core";
import { createTempFolder, ksiBin, until } from "@ksi/testing";
import { afterAll, describe, expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";
import { runServe, type ServeOptions } from "./run-serve.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

const folder = stack.use(await createTempFolder());
await chmod(folder.path, 0o755);
/** An embedded Redis is somebody else's to whoever reaches it by its URL. */
const redis = stack.use(await startStore({ dir: join(folder.path, "redis"), isDurable: false, logger: silent }));
const socket = join(folder.path, "redis", "redis.sock");
const { commands } = redis;

/** Settings of the Redis that make it refuse, and how to take them back. */
const faults = {
  password: { set: "requirepass", bad: "hush-hush", good: "" },
  "too few replicas": { set: "min-replicas-to-write", bad: "1", good: "0" },
  "out of memory": { set: "maxmemory", bad: "1", good: "0" },
} as const;

async function setFault(name: keyof typeof faults): Promise<AsyncDisposable> {
  const { set, bad, good } = faults[name];
  await commands.config("SET", set, bad);
  return { [Symbol.asyncDispose]: async () => void (await commands.config("SET", set, good)) };
}

async function setReplica(): Promise<AsyncDisposable> {
  await commands.replicaof("127.0.0.1", "1");
  return { [Symbol.asyncDispose]: async () => void (await commands.replicaof("NO", "ONE")) };
}

interface BadStart extends Partial<ServeOptions> {
  name: string;
  /** Holds while it starts. */
  given?: () => AsyncDisposable | Promise<AsyncDisposable>;
  says: RegExp;
  code: number;
}

const webServer = stack.use(
  await listen((connection) => connection.on("data", () => connection.end("HTTP/1.1 400\r\n"))),
);
const closed = await listen(() => undefined);
const closedPort = portOf(closed);
await closed[Symbol.asyncDispose]();

const badStarts: BadStart[] = [
  {
    name: "a Redis on which nothing listens",
    env: { KSI_REDIS_URL: `redis://127.0.0.1:${closedPort}` },
    says: /Nothing answers at Redis's address/,
    code: 7,
  },
  {
    name: "a Redis that asks for a password",
    given: () => setFault("password"),
    env: { KSI_REDIS_URL: `unix://${socket}` },
    says: /asks for a password/,
    code: 7,
  },
  {
    name: "a Redis that refuses the password",
    given: () => setFault("password"),
    env: { KSI_REDIS_URL: `unix://:a-wrong-guess@${socket}` },
    says: /refused the user name or password/,
    code: 7,
  },
  {
    name: "something that is not a Redis",
    env: { KSI_REDIS_URL: `redis://127.0.0.1:${portOf(webServer)}` },
    says: /is not a Redis/,
    code: 7,
  },
  { name: "a URL that is none of Redis", env: { KSI_REDIS_URL: "ftp://host" }, says: /redis:\/\//, code: 2 },
  {
    name: "a Redis that is a read-only replica",
    given: setReplica,
    env: { KSI_REDIS_URL: `unix://${socket}` },
    says: /read-only replica/,
    code: 7,
  },
  {
    name: "a Redis with too few replicas",
    given: () => setFault("too few replicas"),
    env: { KSI_REDIS_URL: `unix://${socket}` },
    says: /too few replicas/,
    code: 7,
  },
  {
    name: "a Redis that is out of memory",
    given: () => setFault("out of memory"),
    env: { KSI_REDIS_URL: `unix://${socket}` },
    says: /out of memory/,
    code: 7,
  },
  {
    name: "a Redis program that is not there",
    env: { KSI_REDIS_BINARY: "/nowhere/redis-server" },
    says: /\/nowhere\/redis-server, which does not exist/,
    code: 7,
  },
  { name: "a port in use", args: ["--port", String(portOf(webServer))], says: /is in use\. .*--port/, code: 6 },
  {
    name: "a port that is none",
    args: ["--port", "abc"],
    says: /port \(from --port\): must be a whole number/,
    code: 2,
  },
  { name: "a host that is not ours", args: ["--host", "127.0.0.256"], says: /127\.0\.0\.256/, code: 2 },
  {
    name: "a token that is too short",
    env: { KSI_TOKEN: "short" },
    says: /token \(from KSI_TOKEN\): must be 16/,
    code: 2,
  },
  {
    name: "a key of the config file that there is not",
    given: () => configFile("prot: 8001\n"),
    says: /ksi\.config\.yaml: prot is not a setting\. There are: data_dir, /,
    code: 2,
  },
  {
    name: "a value of the config file that cannot be",
    given: () => configFile("max_concurrent_runs: many\n"),
    says: /max_concurrent_runs \(from .*ksi\.config\.yaml\): must be a whole number/,
    code: 2,
  },
  { name: "a config file that is no YAML", given: () => configFile("tools: [a\n"), says: /is not valid YAML/, code: 2 },
  {
    name: "a data directory that is a file",
    given: () => configFile(""),
    dataDir: join(folder.path, "ksi.config.yaml"),
    says: /cannot be read or written \(EEXIST\)\. .*--data-dir/,
    code: 2,
  },
];

test.for(badStarts)("$name ends the start with one sentence", async ({ given, says, code, ...options }) => {
  await using _ = await given?.();
  const dataDir = join(folder.path, "data");
  const ended = await runServe({ dataDir, cwd: folder.path, ...options });
  expectOneSentence(ended, { says, code });
  for (const secret of ["hush-hush", "a-wrong-guess"]) expect(ended.output).not.toContain(secret);
});

/** Root writes everywhere, so it sends somebody else. */
const uid = isRoot ? nobody : undefined;
const canServeAs =
  uid === undefined || spawnSync(process.execPath, [ksiBin, "--version"], { uid, cwd: "/" }).status === 0;
if (!canServeAs) console.warn("skipped: the unwritable data directory, since this checkout is not readable for others");

test.skipIf(!canServeAs)("a data directory that cannot be written ends the start with one sentence", async () => {
  const dataDir = join(folder.path, "not-writable");
  await mkdir(dataDir, { mode: 0o555 });
  const ended = await runServe({ dataDir, cwd: folder.path, uid });
  expectOneSentence(ended, { says: /not-writable cannot be read or written \(EACCES\)\. .*--data-dir/, code: 2 });
});

describe("a Redis that begins to refuse under a running daemon", () => {
  const refusals = [
    { name: "out of memory", begin: () => setFault("out of memory"), says: /out of memory/ },
    { name: "a read-only replica", begin: setReplica, says: /read-only replica/ },
  ];

  test.for(refusals)("$name: calls say so, and what was accepted goes on when it is over", async ({ begin, says }) => {
    await using live = await startLiveDaemon({ env: { KSI_REDIS_URL: `unix://${socket}` } });
    const { ksi, daemon } = live;
    const prompt = "one two three four five";
    const accepted = await ksi.run({ prompt, model: "echo", metadata: { echo: { delay_ms: 300 } } });
    for await (const event of accepted.events()) if (event.event_type === "run.text") break;
    {
      await using _ = await begin();
      // The raw client, since the other one would try again.
      await expect(ksi.trpc.runs.spawn.mutate({ prompt: "more", model: "echo" })).rejects.toMatchObject({
        message: expect.stringMatching(says),
        data: { httpStatus: 503, ksi: { code: "STORE_UNAVAILABLE" } },
      });
      const event = { source: "tester", event_type: "x.test" as const, payload: null };
      await expect(ksi.events.publish(event)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      // Longer than the agent has to say.
      const until2s = performance.now() + 2_000;
      await until(() => daemon.output().includes("could not show that it is alive") && performance.now() > until2s, {
        message: "beats failed, and the agent has said its last word",
      });
      await expect(accepted.cancel("too late")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    }
    expect((await accepted.result()).result).toBe(prompt);
    let text = "";
    // A Redis that becomes the primary again may have lost its tail on the way, and that is told.
    const events = accepted.events({ onGap: ({ reason }) => expect(reason).toBe("epoch_changed") });
    for await (const event of events) if (event.event_type === "run.text") text += event.payload.text;
    expect(text).toBe(prompt);
    expect((await (await ksi.run({ prompt: "after", model: "echo" })).result()).result).toBe("after");
    // Whoever asks again and again must not fill the disk with saying so.
    expect(count(daemon.output(), "\n")).toBeLessThan(200);
    expect(await daemon.stop()).toBe(0);
  });
});

test("a Redis that is gone does not keep a daemon from stopping", async () => {
  const dir = join(folder.path, "gone");
  await using other = await startStore({ dir, isDurable: false, logger: silent });
  await using live = await startLiveDaemon({ env: { KSI_REDIS_URL: `unix://${dir}/redis.sock` } });
  await (await live.ksi.run({ prompt: "before", model: "echo" })).result();
  await other.close();
  await until(() => live.daemon.output().includes("Redis is away"), { message: "the daemon has noticed" });
  await expect(live.ksi.trpc.runs.list.query({})).rejects.toMatchObject({
    data: { ksi: { code: "STORE_UNAVAILABLE" } },
  });
  expect(await live.daemon.stop()).toBe(0);
});

const canMount = isRoot && process.platform === "linux" && tryMount();
if (!canMount) console.warn("skipped: the full disk, since only root on Linux can make a small one");

describe.skipIf(!canMount)("a full disk", () => {
  test("at the first start it is told, and the next start works when there is space", async () => {
    await using disk = await mountSmallDisk("first", "64k");
    const filler = await disk.fill();
    const ended = await runServe({ dataDir: disk.path, cwd: folder.path });
    expectOneSentence(ended, { says: /\(ENOSPC\)\. The disk is full: free some space/, code: 2 });
    await rm(filler);
    await disk.grow("64m");
    await using live = await startLiveDaemon({ dataDir: disk.path });
    expect(await live.ksi.system.health()).toMatchObject({ status: "ok" });
  });

  test("under the embedded Redis it ends the daemon, and what was acknowledged is there afterwards", async () => {
    await using disk = await mountSmallDisk("store", "4m");
    const accepted: string[] = [];
    {
      await using live = await startLiveDaemon({ dataDir: disk.path });
      const { ksi, daemon } = live;
      const exited = once(daemon.process, "exit");
      const padding = { padding: "x".repeat(60_000) };
      // Four at a time until none is accepted any more.
      const spawnUntilRefused = async () => {
        for (let i = 0; i < 1_000; i++) {
          const spawned = ksi.trpc.runs.spawn.mutate({ prompt: `run ${i}`, model: "echo", metadata: padding });
          const run = await spawned.catch(() => undefined);
          if (!run) return;
          accepted.push(run.run_id);
        }
      };
      await Promise.all([0, 1, 2, 3].map(spawnUntilRefused));
      expect(await exited).toEqual([7, null]);
      expect(daemon.output()).not.toContain("could not be ended in time");
      const said = daemon
        .output()
        .split("\n")
        .filter((line) => line.startsWith("✗"));
      expect(said).toEqual([
        expect.stringMatching(/The embedded Redis stopped by itself: .* is full: free some space/),
      ]);
    }
    expect(accepted.length).toBeGreaterThan(10);
    await disk.grow("64m");
    await using live = await startLiveDaemon({ dataDir: disk.path });
    const runs = await Promise.all(accepted.map((run_id) => live.ksi.runs.get(run_id)));
    expect(runs.map(({ run_id }) => run_id)).toEqual(accepted);
    // What happens to those that were under way is the matter of restart.test.ts.
    expect(runs.filter(({ status }) => status === "failed" || status === "cancelled")).toEqual([]);
  });

  test("under the turn log it costs lines of that log, and no run", async () => {
    await using disk = await mountSmallDisk("logs", "1m");
    await using live = await startLiveDaemon({ dataDir: disk.path, env: { KSI_REDIS_URL: `unix://${socket}` } });
    await disk.fill();
    const run = await live.ksi.run({ prompt: "still answered", model: "echo" });
    expect((await run.result()).result).toBe("still answered");
    await until(() => live.daemon.output().includes("A line of the turn log could not be written."));
    expect(await live.daemon.stop()).toBe(0);
  });
});

const stackTrace = /^\s+at .+[:)]|"stack"/m;

/** Nothing but the sentence, and the exit code that belongs to it. */
function expectOneSentence(
  ended: { code: number | null; output: string },
  { says, code }: { says: RegExp; code: number },
) {
  expect(ended.output).toMatch(/^✗ [^\n]+\n$/);
  expect(ended.output).toMatch(says);
  expect(ended.output).not.toMatch(stackTrace);
  expect(ended.code).toBe(code);
}

async function configFile(content: string): Promise<AsyncDisposable> {
  const path = join(folder.path, "ksi.config.yaml");
  await writeFile(path, content);
  return { [Symbol.asyncDispose]: () => rm(path) };
}

async function listen(onConnection: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer((connection) => {
    connection.on("error", () => connection.destroy());
    onConnection?.(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

function tryMount(): boolean {
  try {
    const path = join(folder.path, "try");
    mkdirSync(path);
    command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path);
    command("umount", path);
    return true;
  } catch {
    return false; // such as in a container that may not
  }
}

function command(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: "ignore" });
}

interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** To the last byte; gives the file that does it. */
  fill(): Promise<string>;
  grow(size: string): Promise<void>;
}

async function mountSmallDisk(name: string, size: string): Promise<SmallDisk> {
  const path = join(folder.path, name);
  await mkdir(path);
  command("mount", "-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", path);
  return {
    path,
    async fill() {
      const filler = join(path, "filler");
      await writeFile(filler, Buffer.alloc(16_000_000)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOSPC") throw error;
      });
      return filler;
    },
    grow: async (to) => command("mount", "-o", `remount,size=${to}`, path),
    // Lazily, so that a failed test whose daemon still runs leaves no mount.
    [Symbol.asyncDispose]: async () => command("umount", "--lazy", path),
  };
}
