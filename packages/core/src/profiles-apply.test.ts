import { mkdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SpawnInput } from "@ksi/contract";
import type { KsiError } from "@ksi/contract/errors";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";
import type { ProfilesOptions } from "./profiles.ts";
import { spawnDefaults, startFreshCore } from "./testing/fresh-core.ts";
import { createManualRunner } from "./testing/manual-runner.ts";

type Configured = ProfilesOptions["configured"];

async function startScene(configured: Configured, dir?: string) {
  const manual = createManualRunner();
  const fresh = await startFreshCore({ runners: [manual], profiles: { configured, dir } });
  await fresh.startWorker({ tools: ["Bash", "Grep", "Read"] });
  const { runs } = fresh.ports;
  const spawn = (more: Partial<SpawnInput>) => runs.spawn({ ...spawnDefaults, prompt: "x", ...more });
  return {
    fresh,
    spawn,
    /** What the agent is given, and what is known of its run. */
    async turn(more: Partial<SpawnInput>) {
      const { run_id } = await spawn(more);
      const found = await until(() => manual.turns.find(({ turn }) => turn.run_id === run_id));
      found.complete("done");
      return { ...found.turn, run: await runs.result({ run_id, wait_ms: 5_000 }) };
    },
    refusal: (more: Partial<SpawnInput>) =>
      spawn(more).then(String, ({ code, message }: KsiError) => `${code}: ${message}`),
    [Symbol.asyncDispose]: () => fresh[Symbol.asyncDispose](),
  };
}

test("a run has what its profile says where it says nothing itself", async () => {
  const painter = { model: "manual", system_prompt: "Paint.", tools: ["Read"], cwd: "studio", timeout_ms: 7_000 };
  await using scene = await startScene({ painter });
  const studio = join(scene.fresh.folder, "studio");
  await mkdir(studio);
  const { run, ...turn } = await scene.turn({ agent_profile: "painter" });
  expect(turn).toMatchObject({
    model: "manual",
    system_prompt: "Paint.",
    tools: ["Read"],
    cwd: await realpath(studio),
  });
  expect(run).toMatchObject({ agent_profile: "painter", timeout_ms: 7_000, model: "manual" });
});

test("what a run says itself counts first, and its system prompt stands behind the profile's", async () => {
  const painter = { model: "opus", system_prompt: "Paint.", cwd: "nowhere", timeout_ms: 7_000 };
  await using scene = await startScene({ painter, plain: { model: "manual" } });
  const own = { model: "manual", system_prompt: "In oil.", cwd: ".", timeout_ms: 8_000 };
  const { run, ...turn } = await scene.turn({ agent_profile: "painter", ...own });
  expect(turn).toMatchObject({ model: "manual", system_prompt: "Paint.\n\nIn oil.", cwd: scene.fresh.folder });
  expect(run.timeout_ms).toBe(8_000);
  expect((await scene.turn({ agent_profile: "plain", system_prompt: "In oil." })).system_prompt).toBe("In oil.");
  const bare = await scene.turn({ agent_profile: "plain" });
  expect([bare.system_prompt, bare.tools, bare.run.timeout_ms]).toEqual([undefined, ["Bash", "Grep", "Read"], 60_000]);
});

test.each([
  ["what both allow", { tools: ["Bash", "Read"] }, { tools: ["Read", "Grep"] }, ["Read"]],
  ["nothing, where they share nothing", { tools: ["Bash"] }, { tools: ["Read"] }, []],
  ["the profile's, where the run names none", { tools: ["Bash"] }, {}, ["Bash"]],
  ["the run's, where the profile names none", {}, { tools: ["Bash"] }, ["Bash"]],
  ["none that is not configured", { tools: ["Write", "Read"] }, {}, ["Read"]],
  ["none, where the profile names an empty list", { tools: [] }, {}, []],
  ["none, where the profile has none, whatever the run says", { enable_tools: false }, { enable_tools: true }, []],
  ["none, where the run has none", { enable_tools: true, tools: ["Read"] }, { enable_tools: false }, []],
])("tools narrow and never widen: %s", async (_, profile, own, tools) => {
  await using scene = await startScene({ mine: { model: "manual", ...profile } });
  expect((await scene.turn({ agent_profile: "mine", ...own })).tools).toEqual(tools);
});

test("a profile that is not there is refused with the names of those that are", async () => {
  await using scene = await startScene({ painter: {} });
  expect(await scene.refusal({ agent_profile: "paintr" })).toBe(
    'INVALID_INPUT: agent_profile: There is no profile "paintr". Did you mean painter? ' +
      "There are: painter, assistant, coder, critic, researcher, student, teacher.",
  );
  await expect(scene.spawn({ agent_profile: "paintr" })).rejects.toMatchObject({
    details: { issues: [{ path: "agent_profile", message: expect.stringContaining("painter") }] },
  });
});

test("a profile whose file is wrong is refused with what is wrong, and its run is not started", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "painter.yaml"), "model: manual\ntools: [");
  await using scene = await startScene({ painter: { model: "manual" } }, folder.path);
  expect(await scene.refusal({ agent_profile: "painter" })).toMatch(
    /^INVALID_INPUT: agent_profile: The profile painter cannot be used\. painter\.yaml: line 2: is not valid YAML/,
  );
  expect((await scene.fresh.ports.runs.list({ limit: 10 })).runs).toEqual([]);
});

test("a profile's model and folder are checked like any others, and the error says that they are the profile's", async () => {
  await using scene = await startScene({ far: { cwd: "/" }, gone: { cwd: "gone" }, odd: { model: "gpt-0" } });
  expect(await scene.refusal({ agent_profile: "far" })).toMatch(
    /^FORBIDDEN: The profile far has a cwd that cannot be used here\. cwd: \/ is outside/,
  );
  expect(await scene.refusal({ agent_profile: "gone" })).toMatch(
    /^INVALID_INPUT: The profile gone has a cwd .* not an existing/,
  );
  expect(await scene.refusal({ agent_profile: "odd" })).toMatch(
    /^MODEL_NOT_FOUND: The profile odd has a model .* gpt-0/,
  );
  expect(await scene.refusal({ agent_profile: "odd", model: "gpt-1" })).toMatch(
    /^MODEL_NOT_FOUND: No runner serves the model gpt-1/,
  );
  expect(await scene.refusal({ agent_profile: "far", model: "gpt-1" })).toMatch(/^MODEL_NOT_FOUND: No runner/);
});

test("what is wrong with a default is not said to be the profile's", async () => {
  await using scene = await startScene({ plain: { model: "manual" } });
  await rm(scene.fresh.folder, { recursive: true });
  expect(await scene.refusal({ agent_profile: "plain" })).toMatch(/^INVALID_INPUT: cwd: is not an existing folder/);
});

test("a repeat is told by what the caller sent, also when the profile has changed meanwhile", async () => {
  await using folder = await createTempFolder();
  await using scene = await startScene({}, folder.path);
  const write = (model: string) => writeFile(join(folder.path, "mine.yaml"), `model: ${model}`);
  const spawn = { agent_profile: "mine", idempotency_key: "one" };
  await write("manual");
  const first = await scene.spawn(spawn);
  await write("echo");
  expect(await scene.spawn(spawn)).toMatchObject({ run_id: first.run_id });
  expect((await scene.fresh.ports.runs.get(first.run_id)).model).toBe("manual");
  await expect(scene.spawn({ ...spawn, model: "manual" })).rejects.toMatchObject({ code: "CONFLICT" });
});
