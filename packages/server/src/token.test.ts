import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { prepareDataDir } from "./data-dir.ts";
import type { Logger } from "./logger.ts";
import { bearerOf, createTokenCheck, loadToken } from "./token.ts";

function createWarnings(): Logger & { warnings: string[] } {
  const warnings: string[] = [];
  const ignore = () => undefined;
  return { warnings, debug: ignore, info: ignore, error: ignore, warn: (_fields, message) => warnings.push(message) };
}

test("the first start makes a private folder and token, the second finds the same", async () => {
  await using folder = await createTempFolder();
  const dataDir = join(folder.path, "a", "b");
  const logger = createWarnings();
  await prepareDataDir(dataDir, logger);
  const { token, path } = await loadToken(dataDir, logger);
  expect(token).toMatch(/^[\w-]{43}$/);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  expect(await loadToken(dataDir, logger)).toEqual({ token, path });
  expect(await readFile(path, "utf8")).toBe(`${token}\n`);
  expect(logger.warnings).toEqual([]);
});

test("a token that others can read is closed to them, with a warning", async () => {
  await using folder = await createTempFolder();
  const path = join(folder.path, "token");
  await writeFile(path, "0123456789abcdef");
  await chmod(path, 0o644);
  const logger = createWarnings();
  expect((await loadToken(folder.path, logger)).token).toBe("0123456789abcdef");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(logger.warnings).toHaveLength(1);
});

test("an empty token file is refused with advice", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "token"), "\n", { mode: 0o600 });
  await expect(loadToken(folder.path, createWarnings())).rejects.toThrow("Delete it");
});

test("a data directory that cannot be used is refused with advice", async () => {
  await using folder = await createTempFolder();
  const file = join(folder.path, "file");
  await writeFile(file, "");
  await expect(prepareDataDir(file, createWarnings())).rejects.toThrow("--data-dir");
  await expect(loadToken(file, createWarnings())).rejects.toThrow("--data-dir");
});

test("only the token itself passes the check", () => {
  const isToken = createTokenCheck("0123456789abcdef");
  expect(isToken("0123456789abcdef")).toBe(true);
  for (const wrong of [undefined, "", "0123456789abcde", "0123456789abcdeF"]) expect(isToken(wrong)).toBe(false);
});

test("a bearer token is read from its header, and nothing from other schemes", () => {
  expect(bearerOf("bearer abc")).toBe("abc");
  for (const other of [undefined, null, "", "Bearer", "Basic abc", "Bearer a b"])
    expect(bearerOf(other)).toBeUndefined();
});

test("a data directory that others can write to is warned of", async () => {
  await using folder = await createTempFolder();
  await chmod(folder.path, 0o777);
  const logger = createWarnings();
  await prepareDataDir(folder.path, logger);
  expect(logger.warnings).toHaveLength(1);
});
