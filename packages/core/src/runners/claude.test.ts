import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Image, KsiError } from "@ksi/contract";
import { type ClaudeStandIn, createClaudeStandIn, findByMarker, isAlive, until } from "@ksi/testing";
import { expect, test } from "vitest";
import type { AgentLimits } from "../agent-process.ts";
import { type RunnerBench, startRunnerBench } from "../testing/runner-bench.ts";
import { createClaudeRunner } from "./claude.ts";
import type { Runner, Turn } from "./runner.ts";

interface Scene extends AsyncDisposable {
  readonly bench: RunnerBench;
  readonly standIn: ClaudeStandIn;
  readonly claude: Runner;
}

async function startScene(limits?: Partial<AgentLimits>, env: NodeJS.ProcessEnv = process.env): Promise<Scene> {
  const standIn = await createClaudeStandIn();
  const bench = await startRunnerBench();
  const { reaper, logger } = bench;
  const claude = createClaudeRunner({ bin: standIn.bin, env, reaper, logger, limits });
  return {
    bench,
    standIn,
    claude,
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      await standIn[Symbol.asyncDispose]();
    },
  };
}

test("a turn streams its words, then gives its result, usage, cost and what to remember", async () => {
  await using scene = await startScene();
  const turn = scene.bench.start(scene.claude, { prompt: "one two three #think=hm" });
  expect(await turn.outcome).toMatchObject({
    result: "one two three",
    model: "claude-sonnet-stand-in",
    usage: { input_tokens: 10, output_tokens: 5 },
    cost_usd: 0.01,
    num_turns: 1,
    stop_reason: "end_turn",
    raw: { type: "result", result: "one two three" },
    memory: { cli_session_id: turn.turn.session_id, is_known: true, total_cost_usd: 0.01 },
  });
  expect(turn.events.map(({ event_type }) => event_type)).toEqual(["run.thinking", "run.text", "run.text", "run.text"]);
  expect(turn.text()).toBe("one two three");
  expect(turn.handed).toEqual([{ cli_session_id: turn.turn.session_id, is_known: false }]);
  await turn.ended;
});

test("a turn whose agent the reaper has to end, or finds too early, fails as WORKER_LOST and leaves nothing", async () => {
  await using scene = await startScene();
  const { reaper, logger } = scene.bench;
  const reaped = new AbortController();
  const guard = (run_id: string) => ({ ...reaper.guard(run_id), reaped: reaped.signal });
  const claude = createClaudeRunner({
    bin: scene.standIn.bin,
    env: process.env,
    reaper: { ...reaper, guard },
    logger,
    limits: { terminateMs: 50 },
  });
  const turn = scene.bench.start(claude, { prompt: "#hang #fork=session #ignore=SIGINT,SIGTERM" });
  const [child] = await until(async () => (await scene.standIn.children()).length > 0 && scene.standIn.children());
  reaped.abort();
  await expect(turn.outcome).rejects.toMatchObject({ code: "WORKER_LOST" });
  await turn.ended;
  expect(child && isAlive(child.pid)).toBe(false);
});

test("the next turn of a session resumes it, and has a cost of its own", async () => {
  await using scene = await startScene();
  const { session_id, memory } = await firstTurn(scene);
  const { outcome } = scene.bench.start(scene.claude, { session_id, memory, prompt: "#recall" });
  expect(await outcome).toMatchObject({ result: "hello", cost_usd: 0.01, memory: { total_cost_usd: 0.02 } });
  const [, , second] = await scene.standIn.turns();
  expect(second?.args).toContain(`--resume=${session_id}`);
});

test("a session that only the CLI knows is resumed, without a guess at the cost", async () => {
  await using scene = await startScene();
  const { session_id } = await firstTurn(scene);
  const { outcome } = scene.bench.start(scene.claude, { session_id, prompt: "#recall" });
  const given = await outcome;
  expect(given.result).toBe("hello");
  expect(given.cost_usd).toBeUndefined();
});

test("a session whose first turn died before the CLI wrote anything is started again", async () => {
  await using scene = await startScene();
  const session_id = crypto.randomUUID();
  const memory = { cli_session_id: session_id, is_known: false };
  const turn = scene.bench.start(scene.claude, { session_id, memory });
  expect(await turn.outcome).toMatchObject({ result: "hello" });
  expect(turn.handed).toHaveLength(1);
});

test("a conversation that is lost is an error, never a new one under its name", async () => {
  await using scene = await startScene();
  const session_id = crypto.randomUUID();
  const memory = { cli_session_id: session_id, is_known: true };
  const { outcome } = scene.bench.start(scene.claude, { session_id, memory });
  await expect(outcome).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
});

test("tools and retries are reported, and a long tool result is cut where the event says so", async () => {
  await using scene = await startScene();
  const turn = scene.bench.start(scene.claude, { prompt: "hi #tool=Bash #tool-result=40000 #api-retry=529" });
  await turn.outcome;
  const tool_use_id = expect.any(String);
  expect(turn.events).toEqual([
    { event_type: "run.retrying", payload: { attempt: 1, delay_ms: 5, status: 529 } },
    { event_type: "run.tool_use", payload: { tool_use_id, name: "Bash", input: { command: "true" } } },
    {
      event_type: "run.tool_result",
      payload: { tool_use_id, is_error: false, content: "r".repeat(32_000), is_truncated: true },
    },
    { event_type: "run.text", payload: { text: "hi" } },
  ]);
});

test("text that the provider broke off is retracted, and an answer over its limit is joined", async () => {
  await using scene = await startScene();
  const broken = scene.bench.start(scene.claude, { prompt: "one two three #break=2" });
  expect(await broken.outcome).toMatchObject({ result: "one two three" });
  expect(broken.events.map(({ payload }) => payload)).toEqual([
    ...["one ", "two "].map((text) => ({ text })),
    { chars: 8 },
    ...["one ", "two ", "three"].map((text) => ({ text })),
  ]);
  const limited = scene.bench.start(scene.claude, { prompt: "one two three #max-tokens=2" });
  expect(await limited.outcome).toMatchObject({ result: "one two three", raw: { result: "three" } });
  expect(limited.text()).toBe("one two three");
});

test("a schema may name any draft, of which the CLI is told the one that it knows", async () => {
  await using scene = await startScene();
  const draft07 = "http://json-schema.org/draft-07/schema#";
  for (const $schema of [draft07, "https://json-schema.org/draft/2020-12/schema"]) {
    await scene.bench.start(scene.claude, { output_schema: { $schema, type: "object" }, prompt: "{}" }).outcome;
  }
  const told = (await scene.standIn.turns()).filter(({ event }) => event === "started").map(({ args }) => args);
  expect(told[0]).toContain(`--json-schema={"$schema":"${draft07}","type":"object"}`);
  expect(told[1]).toContain('--json-schema={"type":"object"}');
});

test("structured output comes back as a value", async () => {
  await using scene = await startScene();
  const { outcome } = scene.bench.start(scene.claude, {
    prompt: '#output={"answer":4}',
    output_schema: { type: "object" },
  });
  expect(await outcome).toMatchObject({ output: { answer: 4 } });
});

test.each([
  ["#api-error=401", "MODEL_AUTH"],
  ["#api-error=429", "MODEL_RATE_LIMITED"],
  ["#api-error=404", "MODEL_NOT_FOUND"],
  ["#api-error=529", "MODEL_OVERLOADED"],
  ["#api-error=500", "MODEL_ERROR"],
  ["#max-turns", "MAX_TURNS"],
  ["#budget", "BUDGET_EXCEEDED"],
  ["#crash=7 words", "RUNNER_CRASHED"],
  ["#kill words", "RUNNER_CRASHED"],
  ["#crash=0 words", "RUNNER_CRASHED"],
  ["#exit-at=1", "RUNNER_CRASHED"],
  ["#exit-at=700 some words", "RUNNER_CRASHED"],
  ["#exit-at=150 #code=0", "RUNNER_BAD_OUTPUT"],
  ["#garbage", "RUNNER_BAD_OUTPUT"],
  ["#garbage=1", "RUNNER_BAD_OUTPUT"],
])("%s fails with %s and advice", async (prompt, code) => {
  await using scene = await startScene();
  const turn = scene.bench.start(scene.claude, { prompt });
  const error = await turn.outcome.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code, message: expect.stringMatching(/^.{30,}[.)]?$/) });
  await turn.ended;
  // The cause, stderr included, is for the log.
  expect(scene.bench.logged).toContain("A turn of claude failed.");
});

test("an answer that never satisfies the schema fails", async () => {
  await using scene = await startScene();
  const { outcome } = scene.bench.start(scene.claude, { prompt: "#no-output", output_schema: {} });
  await expect(outcome).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
});

test.each([
  ["#flood-stdout=3000000", "a flood of lines"],
  ["#long-line=3000000", "a line without an end"],
])("%s, %s, ends the agent", async (prompt) => {
  await using scene = await startScene({ maxLineBytes: 1_000_000, maxOutputBytes: 2_000_000 });
  const turn = scene.bench.start(scene.claude, { prompt });
  await expect(turn.outcome).rejects.toMatchObject({ code: "RUNNER_OUTPUT_TOO_LARGE" });
  await turn.ended;
  expect((await scene.standIn.turns()).filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test("a flood of stderr neither stalls nor fails a turn", async () => {
  await using scene = await startScene();
  const { outcome } = scene.bench.start(scene.claude, { prompt: "fine #flood-stderr=3000000" });
  expect(await outcome).toMatchObject({ result: "fine" });
});

test("the outcome is known at the result line, before the process has ended", async () => {
  await using scene = await startScene();
  const turn = scene.bench.start(scene.claude, { prompt: "quick #linger=60000" });
  expect(await turn.outcome).toMatchObject({ result: "quick" });
  const failed = scene.bench.start(scene.claude, { prompt: "#api-error=529 #linger=60000" });
  await expect(failed.outcome).rejects.toMatchObject({ code: "MODEL_OVERLOADED" });
  const started = await scene.standIn.turns();
  expect(started.every(({ pid }) => isAlive(pid))).toBe(true);
});

test("cancelling rejects at once with the reason, and ends a tree that ignores every signal it can", async () => {
  await using scene = await startScene({ interruptMs: 100, terminateMs: 100 });
  const turn = scene.bench.start(scene.claude, { prompt: "#fork #hang #ignore=SIGINT,SIGTERM" });
  const children = await until(async () => {
    const forked = await scene.standIn.children();
    return forked.length === 3 && forked;
  });
  const [agent] = await scene.standIn.turns();
  const reason = new KsiError("RUN_CANCELLED", "cancelled");
  turn.abort(reason);
  await expect(turn.outcome).rejects.toBe(reason);
  await turn.ended;
  expect([agent, ...children].filter((process) => process && isAlive(process.pid))).toEqual([]);
});

test("what an agent leaves in the background ends with its turn", async () => {
  await using scene = await startScene({ terminateMs: 100 });
  const turn = scene.bench.start(scene.claude, { prompt: "done #fork" });
  expect(await turn.outcome).toMatchObject({ result: "done" });
  await turn.ended;
  const children = await scene.standIn.children();
  expect(children).toHaveLength(3);
  expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
});

test("the prompt is written only after the hand-over was recorded", async () => {
  await using scene = await startScene();
  const gate = Promise.withResolvers<void>();
  const turn = scene.bench.start(scene.claude, {}, { promptHanded: () => gate.promise });
  await until(() => findByMarker(scene.bench.reaper.marker).length > 0);
  expect(await scene.standIn.turns()).toEqual([]);
  gate.resolve();
  expect(await turn.outcome).toMatchObject({ result: "hello" });
});

test("a hand-over that is refused ends the agent without a prompt", async () => {
  await using scene = await startScene();
  const refusal = new KsiError("CONFLICT", "the run belongs to another worker");
  const turn = scene.bench.start(scene.claude, {}, { promptHanded: () => Promise.reject(refusal) });
  await expect(turn.outcome).rejects.toBe(refusal);
  await turn.ended;
  expect(await scene.standIn.turns()).toEqual([]);
});

test("a hand-over slower than the CLI waits for its prompt costs a second start, not the run", async () => {
  await using scene = await startScene();
  const turn = scene.bench.start(
    scene.claude,
    {},
    { promptHanded: async () => void (await until(() => scene.bench.logged.includes("go"))) },
  );
  // The stand-in gives up after three seconds, as the CLI does.
  await until(() => findByMarker(scene.bench.reaper.marker).length > 0);
  await until(() => findByMarker(scene.bench.reaper.marker).length === 0);
  scene.bench.logger.info({}, "go");
  expect(await turn.outcome).toMatchObject({ result: "hello" });
});

test("a missing, a refused and a broken program each say what to do", async () => {
  await using scene = await startScene();
  const { reaper, logger, cwd } = scene.bench;
  const plain = join(cwd, "plain");
  await writeFile(plain, "not a program");
  const orphan = join(cwd, "orphan");
  await writeFile(orphan, "#!/no/such/interpreter\n");
  await chmod(orphan, 0o755);
  for (const [bin, code] of [
    [join(cwd, "nothing"), "RUNNER_NOT_FOUND"],
    ["no-such-claude", "RUNNER_NOT_FOUND"],
    [plain, "RUNNER_NOT_EXECUTABLE"],
    [cwd, "RUNNER_NOT_EXECUTABLE"],
    [orphan, "RUNNER_NOT_FOUND"],
  ] as const) {
    const runner = createClaudeRunner({ bin, env: process.env, reaper, logger });
    await expect(scene.bench.start(runner).outcome, bin).rejects.toMatchObject({ code });
    if (bin !== orphan) expect(await runner.probe()).toMatchObject({ available: false, advice: expect.any(String) });
  }
});

test("a probe finds the program on PATH and reads the version beside it, starting nothing", async () => {
  await using scene = await startScene();
  const { reaper, logger, cwd } = scene.bench;
  await mkdir(join(cwd, "bin"));
  await writeFile(join(cwd, "package.json"), '{"name": "@anthropic-ai/claude-code", "version": "2.1.329"}');
  await writeFile(join(cwd, "bin", "claude"), "");
  await chmod(join(cwd, "bin", "claude"), 0o755);
  const runner = createClaudeRunner({ env: { PATH: join(cwd, "bin") }, reaper, logger });
  const models = ["sonnet", "opus", "haiku"];
  expect(await runner.probe()).toEqual({ name: "claude", available: true, models, version: "2.1.329" });
});

test("nothing that a caller sends becomes a flag, and no prompt is shown by ps", async () => {
  await using scene = await startScene();
  const before = await readdir(tmpdir());
  const turn: Partial<Turn> = { prompt: "--version", system_prompt: "--help\nme", tools: ["Bash(git *)", "Read"] };
  const { outcome, ended } = scene.bench.start(scene.claude, turn);
  expect(await outcome).toMatchObject({ result: "--version" });
  await ended;
  const [started] = await scene.standIn.turns();
  expect(started).toMatchObject({ prompt: "--version", system_prompt: "--help\nme", cwd: scene.bench.cwd });
  expect(started?.args).toContain("--tools=Bash,Read");
  expect(started?.args).toContain("--allowedTools=Bash(git *),Read");
  expect(started?.args.join(" ")).not.toMatch(/version|help/);
  const isNew = (name: string) => name.startsWith("ksi-") && !name.startsWith("ksi-test") && !before.includes(name);
  expect((await readdir(tmpdir())).filter((name) => isNew(name) && !name.startsWith("ksi-stand-in"))).toEqual([]);
});

test("a prompt that begins with a slash reaches the model, and no tools means none", async () => {
  await using scene = await startScene();
  const { outcome } = scene.bench.start(scene.claude, { prompt: "/help me" });
  await outcome;
  const [started] = await scene.standIn.turns();
  expect(started?.prompt).toBe(" /help me");
  expect(started?.args).toEqual(
    expect.arrayContaining(["--tools=", "--strict-mcp-config", "--disable-slash-commands"]),
  );
});

test("images go before the prompt, in their order, at the session's start and when it is resumed", async () => {
  await using scene = await startScene();
  const images = [
    { media_type: "image/png", data: "A".repeat(2_000_000) },
    { media_type: "image/gif", data: "BBBB" },
  ] satisfies Image[];
  const first = scene.bench.start(scene.claude, { images, prompt: "/look\u2028here" });
  expect(await first.outcome).toMatchObject({ result: "/look here" });
  await first.ended;
  const { session_id } = first.turn;
  const memory = (await first.outcome).memory;
  const { outcome, ended } = scene.bench.start(scene.claude, { images, session_id, memory, prompt: "#recall" });
  expect(await outcome).toMatchObject({ result: "/look here" });
  await ended;
  const started = (await scene.standIn.turns()).filter(({ event }) => event === "started");
  const sources = images.map((image) => ({ type: "base64", ...image }));
  expect(started).toMatchObject([{ prompt: " /look\u2028here", images: sources }, { images: sources }]);
});

test("the agent gets what a program needs and none of the daemon's secrets", async () => {
  const env = {
    PATH: process.env.PATH,
    HOME: "/h",
    KSI_TOKEN: "t",
    AWS_SECRET: "s",
    ANTHROPIC_API_KEY: "k",
    LC_ALL: "C",
  };
  await using scene = await startScene(undefined, env);
  await scene.bench.start(scene.claude).outcome;
  const [started] = await scene.standIn.turns();
  expect(started?.env).toEqual(
    expect.arrayContaining(["PATH", "HOME", "ANTHROPIC_API_KEY", "LC_ALL", "KSI_RUN_TAG", "API_TIMEOUT_MS"]),
  );
  expect(started?.env).not.toContain("KSI_TOKEN");
  expect(started?.env).not.toContain("AWS_SECRET");
});

test.each([
  ...["sonnet", "opus", "haiku", "default", "sonnet[1m]", "opusplan", "claude-opus-5", "us.anthropic.claude-v1:0"],
])("claude serves %s", async (model) => {
  await using scene = await startScene();
  expect(scene.claude.serves(model)).toBe(true);
  expect(scene.claude.serves(`not-${model.slice(0, 3)}`)).toBe(false);
});

async function firstTurn({ bench, claude }: Scene): Promise<Pick<Turn, "session_id" | "memory">> {
  const { outcome, turn, ended } = bench.start(claude, { prompt: "hello" });
  const { memory } = await outcome;
  await ended;
  return { session_id: turn.session_id, memory };
}
