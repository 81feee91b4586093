/** Profiles of a whole daemon, over REST and tRPC: files that come, change and break while it runs, and runs with them. */
import { execFile } from "node:child_process";
import { mkdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClaudeStandIn, createTempFolder, ksiBin } from "@ksi/testing";
import { expect, test } from "vitest";
import { type LiveDaemon, startLiveDaemon } from "./live-daemon.ts";

const shipped = ["assistant", "coder", "critic", "researcher", "student", "teacher"];

test("a file counts as soon as it is written, and stops to count as soon as it is broken or gone", async () => {
  await using live = await startLiveDaemon();
  const { profiles } = live.ksi;
  const rest = callerOf(live);
  const write = writerOf(live);
  const names = async () => (await profiles.list()).profiles.map(({ name }) => name);
  expect(await names()).toEqual(shipped);

  await write("painter.yaml", "model: echo\ntimeout_ms: 7000\n");
  expect(await names()).toEqual([...shipped, "painter"].sort());
  const spawn = { prompt: "hello", agent_profile: "painter" };
  const first = await (await live.ksi.run(spawn)).result();
  expect(first.result).toBe("hello");
  expect(await live.ksi.runs.get(first.run_id)).toMatchObject({ agent_profile: "painter", timeout_ms: 7_000 });

  await write("painter.yaml", "model: echo\ntimeout_ms: 8000\n");
  const accepted = await rest("POST", "/api/v1/spawn", spawn);
  expect(await rest("GET", `/api/v1/runs/${accepted.body.run_id}`)).toMatchObject({ body: { timeout_ms: 8_000 } });

  await write("painter.yaml", "model: echo\ntimeout_ms: a: b\n");
  const message = expect.stringMatching(/^line 2: is not valid YAML/);
  expect(await rest("GET", "/api/v1/profiles")).toMatchObject({
    body: { problems: [{ file: "painter.yaml", message }] },
  });
  expect(await names()).toEqual(shipped);
  const wrong = expect.stringContaining("The profile painter cannot be used. painter.yaml: line 2: is not valid YAML");
  await expect(profiles.get("painter")).rejects.toMatchObject({ code: "INVALID_INPUT", message: wrong });
  const issues = [{ path: "agent_profile", message: wrong }];
  expect(await rest("POST", "/api/v1/spawn", spawn)).toMatchObject({ status: 422, body: { error: { issues } } });

  await rm(join(live.dataDir, "profiles"), { recursive: true });
  expect(await rest("GET", "/api/v1/profiles/painter")).toMatchObject({
    status: 404,
    body: { error: { code: "NOT_FOUND" } },
  });
  await expect(live.ksi.run({ ...spawn, agent_profile: "criti" })).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringContaining("Did you mean critic? There are: critic, assistant, coder"),
  });
  expect((await live.ksi.runs.list()).runs).toHaveLength(2);
  expect(live.daemon.process.exitCode).toBeNull();
});

test("the agent is given the model, system prompt, tools and folder of its profile, and what its run adds", async () => {
  await using standIn = await createClaudeStandIn();
  await using live = await startLiveDaemon({ env: { KSI_CLAUDE_BIN: standIn.bin } });
  await mkdir(join(live.dataDir, "studio"));
  const painter = { model: "opus", role: "Painter", system_prompt: "Paint.", allowed_tools: ["Read", "Write"] };
  await writerOf(live)("old.json", JSON.stringify(painter));
  await writerOf(live)("painter.json", JSON.stringify({ ...painter, cwd: "studio" }));
  const turn = async (request: object) => {
    const { run_id } = await (await live.ksi.run({ prompt: "x", ...request })).result();
    const turns = await standIn.turns();
    const { args = [], cwd, system_prompt } = turns.findLast(({ event }) => event === "started") ?? {};
    const tools = args.find((arg) => arg.startsWith("--tools="));
    return { run_id, tools, model: args.find((arg) => arg.startsWith("--model=")), cwd, system_prompt };
  };
  expect(await turn({ agent_profile: "painter" })).toMatchObject({
    model: "--model=opus",
    tools: "--tools=Read,Write",
    system_prompt: "Paint.",
    cwd: await realpath(join(live.dataDir, "studio")),
  });
  const own = { model: "haiku", system_prompt: "In oil.", tools: ["Read", "Bash"], cwd: live.dataDir };
  expect(await turn({ agent_profile: "painter", ...own })).toMatchObject({
    model: "--model=haiku",
    tools: "--tools=Read",
    system_prompt: "Paint.\n\nIn oil.",
    cwd: live.dataDir,
  });
  expect((await turn({ agent_profile: "old", enable_tools: false })).tools).toBe("--tools=");
  expect((await turn({ agent_profile: "student", enable_tools: true })).tools).toBe("--tools=");
});

test("each profile that ships runs, with no tools but those that a daemon allows", async () => {
  await using standIn = await createClaudeStandIn();
  await using live = await startLiveDaemon({ env: { KSI_CLAUDE_BIN: standIn.bin } });
  const { profiles } = await live.ksi.profiles.list();
  for (const { name, tools, system_prompt } of profiles) {
    await (await live.ksi.run({ prompt: "x", agent_profile: name })).result();
    const started = (await standIn.turns()).findLast(({ event }) => event === "started");
    expect(started?.system_prompt).toBe(system_prompt);
    const given = started?.args
      .find((arg) => arg.startsWith("--tools="))
      ?.slice("--tools=".length)
      .split(",");
    // None of its tools is lost, since each is one of the daemon's.
    if (tools) expect(given?.sort()).toEqual([...tools].sort());
  }
  const writing = new Set(["Bash", "Edit", "MultiEdit", "Write", "Task"]);
  const writers = profiles.filter(
    ({ tools, enable_tools }) => enable_tools !== false && (tools ?? [...writing]).some((tool) => writing.has(tool)),
  );
  expect(writers.map(({ name }) => name)).toEqual(["assistant", "coder"]);
});

test("profiles of the configuration are served, and an agent has the capabilities of its own", async () => {
  await using folder = await createTempFolder();
  const config = "profiles:\n  painter: { model: echo, capabilities: [painting] }\n  critic: { model: echo }\n";
  await writeFile(join(folder.path, "ksi.config.yaml"), config);
  await using live = await startLiveDaemon({ dataDir: folder.path });
  expect(await live.ksi.profiles.get("critic")).toEqual({
    name: "critic",
    model: "echo",
    capabilities: [],
    origin: "config",
  });
  const { agent } = await live.ksi.agents.register({ agent_id: "pia", profile: "painter" });
  expect(agent.capabilities).toEqual(["painting"]);
});

test("a wrong profile in the configuration is a start error that names it", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "ksi.config.yaml"), "profiles:\n  painter: { tols: [Read] }\n");
  const argv = [ksiBin, "serve", "--port", "0", "--data-dir", folder.path];
  const starting = promisify(execFile)(process.execPath, argv, { cwd: folder.path, timeout: 60_000 });
  await expect(starting).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/profiles\.painter \(from .*ksi\.config\.yaml\): .* tols \(did you mean tools\?\)/),
  });
});

function writerOf({ dataDir }: LiveDaemon) {
  return async (file: string, content: string) => {
    await mkdir(join(dataDir, "profiles"), { recursive: true });
    await writeFile(join(dataDir, "profiles", file), content);
  };
}

function callerOf({ daemon: { url, token } }: LiveDaemon) {
  return async (method: string, path: string, body?: object) => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  };
}
