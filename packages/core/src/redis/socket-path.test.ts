import { chmod, mkdir, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { chooseSocketPath } from "./socket-path.ts";

const longFolder = `/data/${"x".repeat(120)}`;

test("the socket is inside its folder where that fits", async () => {
  expect(await chooseSocketPath("/data/redis")).toBe("/data/redis/redis.sock");
});

test("a folder with a long path has its socket in a private runtime folder, always the same", async () => {
  await using runtime = await createTempFolder();
  const env = { XDG_RUNTIME_DIR: runtime.path };
  const path = await chooseSocketPath(longFolder, env);
  expect(dirname(path)).toBe(join(runtime.path, `ksi-${userInfo().uid}`));
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  expect(await chooseSocketPath(longFolder, env)).toBe(path);
  expect(await chooseSocketPath(`${longFolder}y`, env)).not.toBe(path);
});

test("a runtime folder that is missing, or that others may enter, is passed over", async () => {
  await using runtime = await createTempFolder();
  const open = join(runtime.path, `ksi-${userInfo().uid}`);
  await mkdir(open);
  await chmod(open, 0o777);
  expect(await chooseSocketPath(longFolder, { XDG_RUNTIME_DIR: runtime.path })).not.toContain(runtime.path);
  const missing = join(runtime.path, "missing");
  expect(await chooseSocketPath(longFolder, { XDG_RUNTIME_DIR: missing })).not.toContain(missing);
});
