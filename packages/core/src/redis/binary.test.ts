import { access, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { KsiError } from "@ksi/contract/errors";
import { createTempFolder, type TempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { startDebianArchive } from "../testing/debian-archive.ts";
import { silentLogger } from "../testing/fresh-redis.ts";
import { findRedisBinary } from "./binary.ts";
import { compileRedis } from "./compile-redis.ts";
import { unpackDebianRedis } from "./debian-redis.ts";
import { installFolder } from "./install-folder.ts";
import type { Installer } from "./installer.ts";
import { startStore } from "./store.ts";

test("the configured binary comes before everything else", async () => {
  await using home = await createHome();
  await putRedis(join(home.path, "bin"), "redis-server");
  const configured = await putRedis(join(home.path, "mine"), "my-redis");
  expect(await find(home, { binary: configured })).toBe(configured);
});

test("the configured binary may be a name on PATH", async () => {
  await using home = await createHome();
  const path = await putRedis(join(home.path, "bin"), "keydb");
  expect(await find(home, { binary: "keydb" })).toBe(path);
});

test.for([
  ["does not exist", "does not exist or is not executable"],
  ["is too old", "is version 6.2, older than 7.0"],
  ["is something else", 'does not say a version of Redis with --version ("hello")'],
  ["cannot run", "does not run (Command failed: "],
])("a configured binary that %s is refused and not replaced", async ([what, reason]) => {
  await using home = await createHome();
  await putRedis(join(home.path, "bin"), "redis-server");
  const path = join(home.path, "mine");
  if (what === "is too old") await putScript(path, 'echo "Redis server v=6.2.14 sha=0"');
  if (what === "is something else") await putScript(path, "echo hello");
  if (what === "cannot run") await putScript(path, "exit 127");
  await expect(find(home, { binary: path })).rejects.toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining(`KSI_REDIS_BINARY is ${path}, which ${reason}`),
  });
});

test("redis-server on PATH comes before valkey-server", async () => {
  await using home = await createHome();
  const valkey = await putRedis(join(home.path, "bin"), "valkey-server", "Valkey server v=8.0.1 sha=0");
  expect(await find(home)).toBe(valkey);
  const redis = await putRedis(join(home.path, "bin"), "redis-server");
  expect(await find(home)).toBe(redis);
});

test("a redis-server on PATH that is too old is passed over", async () => {
  await using home = await createHome();
  await putRedis(join(home.path, "bin"), "redis-server", "Redis server v=6.0.16 sha=0");
  const valkey = await putRedis(join(home.path, "bin"), "valkey-server", "Valkey server v=7.2.5 sha=0");
  expect(await find(home)).toBe(valkey);
});

test("the cache is asked after PATH: the newest that runs here", async () => {
  await using home = await createHome();
  const cache = join(home.path, "cache", "ksi");
  await putRedis(join(cache, "redis-7.2.11-linux-x64-compiled"), "redis-server");
  const newest = await putRedis(join(cache, "redis-7.10.1-linux-x64"), "redis-server");
  await putScript(join(cache, "redis-8.0.0-linux-arm64", "redis-server"), "exit 126");
  await putRedis(join(cache, ".unfinished-1"), "redis-server");
  expect(await find(home)).toBe(newest);
  const onPath = await putRedis(join(home.path, "bin"), "redis-server");
  expect(await find(home)).toBe(onPath);
});

test("without XDG_CACHE_HOME the cache is ~/.cache/ksi", async () => {
  await using home = await createHome();
  const cached = await putRedis(join(home.path, ".cache", "ksi", "redis-7.0.15-linux-x64"), "redis-server");
  expect(await findRedisBinary({ logger: silentLogger, env: { PATH: "", HOME: home.path }, installers: [] })).toBe(
    cached,
  );
});

test("then the installers are asked in order, and those that cannot or fail are passed over", async () => {
  await using home = await createHome();
  const asked: string[] = [];
  const installers: Installer[] = [
    { plan: "one", obstacle: async () => "no luck here", install: async () => "" },
    createInstaller("two", async () => {
      asked.push("two");
      throw new Error("the network is down");
    }),
    createInstaller("three", async ({ cache }) => {
      asked.push("three");
      return await putRedis(join(cache, "redis-7.2.0"), "redis-server");
    }),
  ];
  expect(await find(home, { installers })).toBe(join(home.path, "cache", "ksi", "redis-7.2.0", "redis-server"));
  expect(asked).toEqual(["two", "three"]);
  await find(home, { installers });
  expect(asked).toEqual(["two", "three"]);
});

test("when nothing works the error names the command for this system, and its cause every source", async () => {
  await using home = await createHome();
  await putScript(join(home.path, "bin", "dnf"), "exit 0");
  const installer = createInstaller("compiling.", async () => {
    throw new Error("no space left on device");
  });
  const error = await find(home, { installers: [installer] }).catch((reason: KsiError) => reason);
  expect(error).toMatchObject({
    code: "STORE_UNAVAILABLE",
    message:
      "KSI needs Redis 7.0 or newer and found none. Install it: `sudo dnf install redis`; or set " +
      "KSI_REDIS_BINARY to its executable, or KSI_REDIS_URL to a running one.",
  });
  expect(((error as KsiError).cause as Error).message.split("\n")).toEqual([
    "redis-server is not on PATH",
    "valkey-server is not on PATH",
    "compiling. no space left on device",
  ]);
});

test("installations at the same time do not touch each other, and a failed one leaves nothing", async () => {
  await using folder = await createTempFolder();
  const install = (content: string) =>
    installFolder(folder.path, async (unfinished) => {
      await writeFile(join(unfinished, "a"), content);
      if (content === "3") throw new Error("the disk is full");
      await writeFile(join(unfinished, "b"), content);
      return "redis-7";
    });
  const results = await Promise.allSettled(["1", "2", "3"].map(install));
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  const names = await readdir(folder.path);
  expect(names).toHaveLength(2);
  expect(names).toContain("redis-7");
  for (const name of names) {
    expect(await readFile(join(folder.path, name, "a"), "utf8")).toBe(
      await readFile(join(folder.path, name, "b"), "utf8"),
    );
  }
});

test("compilation asks for make and a compiler first", async () => {
  expect(await compileRedis.obstacle(async () => undefined)).toBe("Redis cannot be compiled: no make on PATH.");
  expect(await compileRedis.obstacle(async (name) => (name === "make" ? "/usr/bin/make" : undefined))).toBe(
    "Redis cannot be compiled: no C compiler on PATH.",
  );
  expect(await compileRedis.obstacle(async (name) => `/usr/bin/${name}`)).toBeUndefined();
});

const hasApt = await access("/usr/bin/apt-get").then(
  () => true,
  () => false,
);

test.skipIf(!hasApt)("on Debian and Ubuntu the distribution's package is unpacked and runs", async () => {
  await using home = await createHome();
  // All of the system's programs but Redis.
  for (const folder of ["/usr/bin", "/usr/sbin"]) {
    for (const name of await readdir(folder)) {
      if (/^(redis|valkey)-/.test(name)) continue;
      await symlink(join(folder, name), join(home.path, "bin", name)).catch(() => undefined);
    }
  }
  const library = "usr/lib/any-linux-gnu/libksi-test.so.1";
  const server = `#!/bin/sh
test -e "\${LD_LIBRARY_PATH%%:*}/libksi-test.so.1" && exec ${await findRedisBinary({ logger: silentLogger })} "$@"
`;
  const version = "5:99.7.0.15-1~test";
  await using archive = await startDebianArchive([
    { name: "redis-server", version, depends: ["redis-tools"], files: {} },
    { name: "redis-tools", version, depends: ["libksi-test"], files: { "usr/bin/redis-server": server } },
    { name: "libksi-test", version: "1.0", files: { [library]: "" } },
  ]);
  const binary = await find(home, { installers: [unpackDebianRedis], env: archive.env });
  expect(binary).toMatch(/\/cache\/ksi\/redis-99\.7\.0\.15-linux-\w+\/redis-server$/);
  expect(await find(home, { installers: [] })).toBe(binary);
  await using store = await startStore({ dir: join(home.path, "data"), binary, logger: silentLogger });
  expect(await store.commands.ping()).toBe("PONG");
});

interface Finding {
  readonly binary?: string;
  readonly installers?: readonly Installer[];
  readonly env?: NodeJS.ProcessEnv;
}

function find(home: TempFolder, { binary, installers = [], env: more }: Finding = {}): Promise<string> {
  const env = { ...process.env, ...more, PATH: join(home.path, "bin"), XDG_CACHE_HOME: join(home.path, "cache") };
  return findRedisBinary({ binary, installers, env, logger: silentLogger });
}

async function createHome(): Promise<TempFolder> {
  const home = await createTempFolder();
  await mkdir(join(home.path, "bin"));
  return home;
}

function putRedis(folder: string, name: string, version = "Redis server v=7.2.0 sha=0"): Promise<string> {
  return putScript(join(folder, name), `echo "${version}"`);
}

async function putScript(path: string, line: string): Promise<string> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  return path;
}

function createInstaller(plan: string, install: Installer["install"]): Installer {
  return { plan, obstacle: async () => undefined, install };
}
