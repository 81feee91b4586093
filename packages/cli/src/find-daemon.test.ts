import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import type { Cli } from "./cli.ts";
import { findDaemon, findDataDir } from "./find-daemon.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

function cliWith(env: NodeJS.ProcessEnv, cwd = "/"): Cli {
  return { terminal: createRecordedTerminal(), stdin: process.stdin, env, cwd, version: "0.0.0" };
}

async function createDataDir(daemon = '{"url":"http://127.0.0.1:4321","pid":1}') {
  const folder = await createTempFolder();
  await writeFile(join(folder.path, "daemon.json"), daemon);
  await writeFile(join(folder.path, "token"), "secret-of-this-machine\n");
  return folder;
}

test("without flags and variables the daemon is the one that the data directory names", async () => {
  await using folder = await createDataDir();
  expect(await findDaemon({}, cliWith({ KSI_DATA_DIR: folder.path }))).toEqual({
    url: "http://127.0.0.1:4321",
    token: "secret-of-this-machine",
    isLocal: true,
    source: folder.path,
  });
});

test("flags win over the environment, and that over the data directory", async () => {
  await using folder = await createDataDir();
  const env = { KSI_DATA_DIR: folder.path, KSI_URL: "localhost:1111", KSI_TOKEN: "of-env" };
  expect(await findDaemon({}, cliWith(env))).toMatchObject({ url: "http://localhost:1111", token: "of-env" });
  const flags = { url: "http://localhost:2222", token: "of-flag" };
  expect(await findDaemon(flags, cliWith(env))).toMatchObject(flags);
});

test("the token of the data directory is never sent to another machine", async () => {
  await using folder = await createDataDir();
  const found = await findDaemon({ url: "https://ksi.example.com" }, cliWith({ KSI_DATA_DIR: folder.path }));
  expect(found).toMatchObject({ token: undefined, isLocal: false });
});

test("where no daemon left a trace, the sentence says where it looked and how to start one", async () => {
  await using folder = await createTempFolder();
  const finding = findDaemon({ dataDir: folder.path }, cliWith({}));
  await expect(finding).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  await expect(finding).rejects.toThrow(`${folder.path}. Start one with \`npm start\` or \`ksi serve\`.`);
});

test("a damaged daemon.json counts as none", async () => {
  await using folder = await createDataDir('{"url":');
  await expect(findDaemon({ dataDir: folder.path }, cliWith({}))).rejects.toMatchObject({ code: "CONNECTION_LOST" });
});

test("the data directory may be written with ~ or relative to where the user stands", async () => {
  expect(await findDataDir({}, cliWith({ HOME: "/home/u" }))).toBe("/home/u/.ksi");
  expect(await findDataDir({ dataDir: "~/d" }, cliWith({ HOME: "/home/u" }))).toBe("/home/u/d");
  expect(await findDataDir({ dataDir: "d" }, cliWith({}, "/srv"))).toBe("/srv/d");
});

test("a ksi.config.yaml here says where the data directory is, as it does to the daemon", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "ksi.config.yaml"), "data_dir: ./state\n");
  expect(await findDataDir({}, cliWith({}, folder.path))).toBe(join(folder.path, "state"));
});
