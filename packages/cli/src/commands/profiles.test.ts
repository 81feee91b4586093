import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Profile } from "@ksi/client";
import { createTempFolder, ksiBin, startDaemonProcess } from "@ksi/testing";
import { expect, test } from "vitest";
import { createRecordedTerminal } from "../testing/recorded-terminal.ts";
import { describeProfile, formatProfiles } from "./profiles.ts";

const painter: Profile = {
  name: "painter",
  description: "Paints\nwhat it sees \u001b[31m, and more than one would like to read of in a single line of a list.",
  model: "sonnet",
  system_prompt: "Paint.\nSlowly.",
  tools: ["Read", "Write"],
  cwd: "studio",
  timeout_ms: 90_000,
  capabilities: ["painting"],
  origin: "file",
};
const bare: Profile = { name: "bare", capabilities: [], enable_tools: false, origin: "config" };
const silent: Profile = { name: "silent", tools: [], capabilities: [], origin: "built_in" };
const stream = (isTty: boolean) => createRecordedTerminal({ out: isTty, err: isTty }).out;

test("a terminal gets headings, and descriptions that fit on a line and cannot drive it", () => {
  expect(formatProfiles([painter, bare, silent], stream(true)).split("\n")).toEqual([
    "PROFILE  FROM           MODEL   TOOLS       DESCRIPTION",
    "painter  file           sonnet  Read,Write  Paints what it sees [31m, and more …",
    "bare     configuration  -       none        -",
    "silent   KSI            -       none        -",
  ]);
});

test("in a pipe every line is a profile, with all of its description", () => {
  const [first, second] = formatProfiles([painter, bare], stream(false)).split("\n");
  expect(first).toMatch(/^painter .* {2}Paints what it sees \S+, and more than .* a single line of a list\.$/);
  expect(second).toMatch(/^bare /);
});

test("one profile is shown with what it says, and its system prompt as it is", () => {
  expect(describeProfile(bare, stream(false)).split("\n")).toEqual([
    "profile  bare",
    "from     configuration",
    "tools    none",
  ]);
  expect(describeProfile({ ...painter, description: "Paints." }, stream(true)).split("\n")).toEqual([
    "profile       painter",
    "from          file",
    "description   Paints.",
    "model         sonnet",
    "tools         Read,Write",
    "cwd           studio",
    "time limit    1 m 30 s",
    "capabilities  painting",
    "",
    "Paint.",
    "Slowly.",
  ]);
});

test("the command lists profiles with their problems, shows one, and runs with one in its folder", async () => {
  await using folder = await createTempFolder();
  const dataDir = join(folder.path, "data");
  const profiles = join(dataDir, "profiles");
  await mkdir(profiles, { recursive: true });
  await mkdir(join(dataDir, "studio"));
  await mkdir(join(dataDir, "elsewhere"));
  await writeFile(join(profiles, "painter.yaml"), "model: echo\ncwd: studio\ntimeout_ms: 7000\n");
  await writeFile(join(profiles, "lost.yaml"), "model: echo\ncwd: gone\n");
  await writeFile(join(profiles, "bad.yaml"), "tols: []\n");
  await using daemon = await startDaemonProcess({ dataDir, env: { KSI_CLAUDE_BIN: "/nowhere/claude" } });
  const ksi = async (...argv: string[]) => {
    const { PATH = "" } = process.env;
    const options = { cwd: join(dataDir, "elsewhere"), env: { PATH, HOME: dataDir, KSI_DATA_DIR: dataDir } };
    return await promisify(execFile)(process.execPath, [ksiBin, ...argv], options).catch((thrown) => thrown);
  };

  const [list, one, none, ran, given] = await Promise.all([
    ksi("profiles"),
    ksi("profiles", "show", "painter", "--json"),
    ksi("profiles", "show", "paintr"),
    ksi("run", "--profile", "painter", "--json", "hello"),
    ksi("run", "--profile", "lost", "--cwd", ".", "hello"),
  ]);
  expect(list.stdout).toMatch(/^assistant +KSI +- +all +Helps/);
  expect(list.stdout).toMatch(/^painter +file +echo +all +-$/m);
  expect(list.stderr).toMatch(/^! bad\.yaml: no field of a profile: tols \(did you mean tools\?\)/);
  expect(JSON.parse(one.stdout)).toMatchObject({ name: "painter", cwd: "studio", origin: "file" });
  expect([none.code, none.stderr]).toEqual([5, expect.stringContaining("Did you mean painter?")]);
  const [queued] = ran.stdout.split("\n");
  const headers = { authorization: `Bearer ${daemon.token}` };
  const answer = await fetch(`${daemon.url}/api/v1/runs/${JSON.parse(queued).run_id}`, { headers });
  expect(await answer.json()).toMatchObject({ agent_profile: "painter", timeout_ms: 7_000, result: "hello" });
  expect(given.stdout).toBe("hello\n");
  // Without --cwd it is the profile's folder that counts, and not the one where the user stands.
  expect((await ksi("run", "--profile", "lost", "hello")).stderr).toMatch(/The profile lost has a cwd that cannot be/);
});
