import { execFile } from "node:child_process";
import { mkdir, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { KsiError } from "@ksi/contract/errors";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { createProfiles, type ProfilesOptions } from "./profiles.ts";
import { startFreshCore } from "./testing/fresh-core.ts";

const shipped = ["assistant", "coder", "critic", "researcher", "student", "teacher"];

async function createScene(configured?: ProfilesOptions["configured"]) {
  const folder = await createTempFolder();
  const dir = join(folder.path, "profiles");
  const profiles = createProfiles({ dir, configured });
  return {
    folder: folder.path,
    dir,
    profiles,
    async write(file: string, content: string | Buffer) {
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, file), content);
    },
    names: async () => (await profiles.list()).profiles.map(({ name }) => name),
    problems: async () =>
      Object.fromEntries((await profiles.list()).problems.map(({ file, message }) => [file, message])),
    refusal: (name: string) => profiles.get(name).then(String, ({ code, message }: KsiError) => `${code}: ${message}`),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test("without a folder there is what ships, in order of name", async () => {
  await using scene = await createScene();
  const { profiles, problems } = await scene.profiles.list();
  expect(profiles.map(({ name }) => name)).toEqual(shipped);
  expect(
    profiles.every(({ origin, model, capabilities }) => origin === "built_in" && !model && capabilities.length > 0),
  ).toBe(true);
  expect(problems).toEqual([]);
  expect(await createProfiles().get("critic")).toEqual(profiles.find(({ name }) => name === "critic"));
});

test("a file takes the place of the configuration, and that of what ships", async () => {
  const configured = { critic: { model: "opus" }, coder: { model: "opus" }, painter: {} };
  await using scene = await createScene(configured);
  await scene.write("critic.yml", "model: haiku");
  await scene.write("writer.json", '{"model": "sonnet"}');
  expect(await scene.profiles.get("critic")).toEqual({
    name: "critic",
    model: "haiku",
    capabilities: [],
    origin: "file",
  });
  expect(await scene.profiles.get("coder")).toEqual({
    name: "coder",
    model: "opus",
    capabilities: [],
    origin: "config",
  });
  const { profiles } = await scene.profiles.list();
  const origins = profiles.map(({ name, origin }) => `${name} ${origin}`);
  expect(origins).toEqual([
    "assistant built_in",
    "coder config",
    "critic file",
    "painter config",
    "researcher built_in",
    "student built_in",
    "teacher built_in",
    "writer file",
  ]);
  for (const profile of profiles) expect(await scene.profiles.get(profile.name)).toEqual(profile);
});

test("a file counts from the call after it was written, changed, renamed or removed", async () => {
  await using scene = await createScene();
  const model = async (name: string) => (await scene.profiles.get(name)).model;
  expect(await scene.refusal("mine")).toMatch(/^NOT_FOUND/);
  // All of one size, and within one tick of the clock of the files.
  const now = new Date();
  for (let i = 0; i < 10; i++) {
    await scene.write("mine.yaml", `model: m${i}`);
    await utimes(join(scene.dir, "mine.yaml"), now, now);
    expect([
      await model("mine"),
      (await scene.profiles.list()).profiles.find(({ name }) => name === "mine")?.model,
    ]).toEqual([`m${i}`, `m${i}`]);
  }
  await rename(join(scene.dir, "mine.yaml"), join(scene.dir, "yours.yaml"));
  expect(await scene.names()).not.toContain("mine");
  expect(await model("yours")).toBe("m9");
  await rm(join(scene.dir, "yours.yaml"));
  expect(await scene.refusal("yours")).toMatch(/^NOT_FOUND/);
});

test("a file that has not changed is not read again, and one that took its place is, however alike they look", async () => {
  await using scene = await createScene();
  const old = new Date(Date.now() - 60_000);
  const write = async (file: string, content: string) => {
    await scene.write(file, content);
    await utimes(join(scene.dir, file), old, old);
  };
  const read = async () => (await scene.profiles.get("mine")).tools;
  await write("mine.yaml", "tools: [Read]");
  const first = await read();
  expect(await read()).toBe(first);
  await write("other.txt", "tools: [Bash]");
  await rename(join(scene.dir, "other.txt"), join(scene.dir, "mine.yaml"));
  expect(await read()).toEqual(["Bash"]);
});

test("a name that is not there is refused with those that are, near ones first", async () => {
  await using scene = await createScene({ zeal: {} });
  expect(await scene.refusal("codre")).toBe(
    'NOT_FOUND: There is no profile "codre". Did you mean coder? There are: coder, assistant, critic, researcher, student, teacher, zeal.',
  );
  expect(await scene.refusal("constructor")).toBe(
    `NOT_FOUND: There is no profile "constructor". There are: ${shipped.join(", ")}, zeal.`,
  );
});

test("of very many names an error lists some, and says how many more there are", async () => {
  const names = Array.from({ length: 100 }, (_, i) => `p${100 + i}`);
  await using scene = await createScene(Object.fromEntries(names.map((name) => [name, {}])));
  expect(await scene.refusal("p1999")).toMatch(/Did you mean p199\? There are: p199, assistant, .* and 56 more\.$/);
});

test("a file that is no profile is told of, hides others of its name, and does no harm to the rest", async () => {
  await using scene = await createScene({ critic: { model: "opus" } });
  await scene.write("critic.yaml", "modle: haiku");
  await scene.write("good.yaml", "model: haiku");
  await scene.write("broken.json", '{\n"model": }');
  expect(await scene.problems()).toEqual({
    "broken.json": "line 2: is not valid JSON: Unexpected token '}'",
    "critic.yaml": expect.stringContaining("no field of a profile: modle (did you mean model?)"),
  });
  expect(await scene.names()).toEqual(["assistant", "coder", "good", "researcher", "student", "teacher"]);
  expect(await scene.refusal("critic")).toMatch(
    /^INVALID_INPUT: The profile critic cannot be used\. critic\.yaml: no field of a profile: modle/,
  );
  expect(await scene.refusal("nobody")).not.toContain("critic");
  await scene.write("critic.yaml", "model: haiku");
  expect(await scene.profiles.get("critic")).toMatchObject({ model: "haiku", origin: "file" });
});

test("two files of one name are both refused, since nobody can know which is meant", async () => {
  await using scene = await createScene();
  await scene.write("coder.yaml", "model: a");
  await scene.write("coder.json", '{"model": "b"}');
  expect(await scene.problems()).toEqual({
    "coder.json": "has the same name as coder.yaml: keep one of them",
    "coder.yaml": "has the same name as coder.json: keep one of them",
  });
  expect(await scene.refusal("coder")).toMatch(/^INVALID_INPUT/);
  expect(await scene.names()).not.toContain("coder");
});

test("files that are no profiles by their names are passed over; names that no profile can have are told of", async () => {
  await using scene = await createScene();
  for (const file of [".hidden.yaml", "notes.txt", "coder.yaml~", "yaml", "README"])
    await scene.write(file, "not: [read");
  expect(await scene.problems()).toEqual({});
  expect(await scene.names()).toEqual(shipped);
  await scene.write("my own.yaml", "model: x");
  await scene.write("-x.json", "{}");
  const message = expect.stringMatching(/^its name is no name of a profile: it must be/);
  expect(await scene.problems()).toEqual({ "my own.yaml": message, "-x.json": message });
  expect(await scene.refusal("my own")).toMatch(
    /^INVALID_INPUT: The profile my own cannot be used\. my own\.yaml: its name is/,
  );
});

test("links are followed inside the folder, and never out of it", async () => {
  await using scene = await createScene();
  const outside = join(scene.folder, "secret.yaml");
  await writeFile(outside, "model: secret");
  await scene.write("real.yaml", "model: x");
  await mkdir(join(scene.dir, ".versions"));
  await writeFile(join(scene.dir, ".versions", "one.yaml"), "model: one");
  await symlink("real.yaml", join(scene.dir, "alias.yaml"));
  await symlink(".versions/one.yaml", join(scene.dir, "versioned.yaml"));
  await symlink(outside, join(scene.dir, "out.yaml"));
  await symlink("../secret.yaml", join(scene.dir, "up.yaml"));
  await symlink("nothing", join(scene.dir, "gone.yaml"));
  expect(await scene.problems()).toEqual({
    "gone.yaml": "is a link that leads nowhere",
    "out.yaml": "is a link that leads out of the folder",
    "up.yaml": "is a link that leads out of the folder",
  });
  expect((await scene.profiles.get("alias")).model).toBe("x");
  expect((await scene.profiles.get("versioned")).model).toBe("one");
  await symlink(scene.dir, join(scene.folder, "linked"));
  const linked = createProfiles({ dir: join(scene.folder, "linked") });
  expect((await linked.get("alias")).model).toBe("x");
  await expect(linked.get("out")).rejects.toMatchObject({ code: "INVALID_INPUT" });
});

test("what is no file, cannot be read or is too large is told of, and never waited for", async () => {
  await using scene = await createScene();
  await mkdir(join(scene.dir, "folder.yaml"), { recursive: true });
  await promisify(execFile)("mkfifo", [join(scene.dir, "pipe.yaml")]);
  await scene.write("large.yaml", `# ${"x".repeat(256_000)}`);
  await scene.write("full.yaml", `model: x\n#${"x".repeat(255_990)}`);
  expect(await scene.problems()).toEqual({
    "folder.yaml": "is not a file",
    "large.yaml": "is larger than 256 kB",
    "pipe.yaml": "is not a file",
  });
  expect((await scene.profiles.get("full")).model).toBe("x");
});

test("a thousand files are read, and the first beyond them is told of", async () => {
  await using scene = await createScene();
  for (let i = 0; i < 1_002; i++) await scene.write(`p${1_000 + i}.yaml`, `model: m${i}`);
  const { profiles, problems } = await scene.profiles.list();
  expect(profiles.filter(({ origin }) => origin === "file").length).toBe(1_000);
  const message = expect.stringContaining("the folder holds 1002 profiles, and 1000 are read at most");
  expect(problems).toEqual([{ file: "p2000.yaml", message }]);
  expect((await scene.profiles.get("p1999")).model).toBe("m999");
  expect(await scene.refusal("p2001")).toMatch(/^INVALID_INPUT: .* p2001\.yaml: .* 1000 are read at most/);
});

test("a folder that cannot be read refuses every name, since a file could have changed any", async () => {
  await using scene = await createScene();
  await writeFile(scene.dir, "a file");
  expect(await scene.refusal("coder")).toMatch(
    /^INVALID_INPUT: The folder of profiles, .*, cannot be read \(ENOTDIR\)/,
  );
  const message = expect.stringContaining("cannot be read (ENOTDIR)");
  expect(await scene.profiles.list()).toEqual({ profiles: [], problems: [{ file: "profiles", message }] });
});

test("an agent that says nothing of what it can do has the capabilities of its profile, which may be any name", async () => {
  await using scene = await createScene();
  await scene.write("odd.yaml", "capabilities: painting");
  await using fresh = await startFreshCore({
    profiles: { dir: scene.dir, configured: { painter: { capabilities: ["painting"] } } },
  });
  const register = async (agent_id: string, profile: string, more = {}) =>
    (await fresh.ports.agents.register({ agent_id, profile, ...more })).agent.capabilities;
  expect(await register("a", "painter")).toEqual(["painting"]);
  expect(await register("b", "painter", { capabilities: ["sculpting"] })).toEqual(["sculpting"]);
  expect(await register("c", "no profile")).toEqual([]);
  expect(await register("d", "odd")).toEqual([]);
});
