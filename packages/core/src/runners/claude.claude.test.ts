/** The claude runner with the real CLI, against a scripted model on loopback. No key and no network needed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { crc32, deflateSync } from "node:zlib";
import { type Image, KsiError } from "@ksi/contract";
import {
  createClaudeStandIn,
  findByMarker,
  installClaudeCli,
  isAlive,
  type ModelAnswer,
  type ModelRequest,
  type ScriptedModel,
  startScriptedModel,
  until,
} from "@ksi/testing";
import { beforeAll, expect, test } from "vitest";
import { RunCancelled } from "../run-cancelled.ts";
import { type RunnerBench, startRunnerBench } from "../testing/runner-bench.ts";
import { createClaudeRunner } from "./claude.ts";
import type { Runner, Turn } from "./runner.ts";

let bin: string;

beforeAll(async () => {
  bin = await installClaudeCli();
}, 300_000);

interface Scene extends AsyncDisposable {
  readonly bench: RunnerBench;
  readonly model: ScriptedModel;
  readonly env: NodeJS.ProcessEnv;
  readonly claude: Runner;
}

async function startScene(answer: (request: ModelRequest, before: number) => ModelAnswer): Promise<Scene> {
  const bench = await startRunnerBench();
  const model = await startScriptedModel(answer);
  const home = join(bench.cwd, "home");
  await mkdir(home);
  const env = environmentOf(home, model);
  const { reaper, logger } = bench;
  const claude = createClaudeRunner({ bin, env, reaper, logger });
  return {
    bench,
    model,
    env,
    claude,
    async [Symbol.asyncDispose]() {
      await model[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

function environmentOf(home: string, model: ScriptedModel): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    // Where it puts copies of images, and leaves them.
    TMPDIR: home,
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: "dummy",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CODE_MAX_RETRIES: "1",
    DISABLE_AUTOUPDATER: "1",
    DISABLE_TELEMETRY: "1",
    DISABLE_ERROR_REPORTING: "1",
  };
}

test("the probe knows the version without starting it", async () => {
  await using scene = await startScene(() => ({ text: ["unused"] }));
  const models = ["sonnet", "opus", "haiku"];
  expect(await scene.claude.probe()).toEqual({ name: "claude", available: true, models, version: "2.1.329" });
});

test("each word is streamed when the model says it, and the outcome follows", async () => {
  const gates = [Promise.resolve(), Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const gate = (delta: number) => (delta === 0 ? gates[0] : (gates[delta] as PromiseWithResolvers<void>).promise);
  await using scene = await startScene(() => ({ text: ["one ", "two ", "three"], gate }));
  const turn = scene.bench.start(scene.claude, { prompt: "count" });
  await until(() => turn.text() === "one ");
  gates[1].resolve();
  await until(() => turn.text() === "one two ");
  gates[2].resolve();
  expect(await turn.outcome).toMatchObject({
    result: "one two three",
    model: expect.stringContaining("claude-sonnet"),
    usage: { input_tokens: 10, output_tokens: 5 },
    num_turns: 1,
    stop_reason: "end_turn",
    memory: { cli_session_id: turn.turn.session_id, is_known: true },
  });
  expect(turn.text()).toBe("one two three");
  await turn.ended;
});

test("the second turn remembers the first, in another folder too, at its own cost", async () => {
  await using scene = await startScene((_request, before) => ({ text: [`answer ${before}`] }));
  const first = await firstTurn(scene, { prompt: "my name is Ada" });
  const cwd = join(scene.bench.cwd, "elsewhere");
  await mkdir(cwd);
  const second = scene.bench.start(scene.claude, { ...first.turn, cwd, prompt: "what is my name?" });
  const { result, cost_usd } = await second.outcome;
  expect(result).toBe("answer 1");
  expect(JSON.stringify(scene.model.requests[1]?.messages)).toContain("my name is Ada");
  expect(first.cost_usd).toBeGreaterThan(0);
  expect(cost_usd).toBeCloseTo(first.cost_usd ?? Number.NaN, 8);
});

test("a session that only the CLI knows is resumed", async () => {
  await using scene = await startScene(() => ({ text: ["fine"] }));
  const { turn } = await firstTurn(scene, { prompt: "my name is Ada" });
  await scene.bench.start(scene.claude, { session_id: turn.session_id, prompt: "and now?" }).outcome;
  expect(JSON.stringify(scene.model.requests[1]?.messages)).toContain("my name is Ada");
});

test("a conversation that is lost is an error with advice", async () => {
  await using scene = await startScene(() => ({ text: ["unused"] }));
  const session_id = crypto.randomUUID();
  const memory = { cli_session_id: session_id, is_known: true };
  const { outcome } = scene.bench.start(scene.claude, { session_id, memory });
  await expect(outcome).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
});

test("a session whose first turn was cancelled before it said anything goes on", async () => {
  await using scene = await startScene(() => ({ text: ["fine"] }));
  const session_id = crypto.randomUUID();
  const memory = { cli_session_id: session_id, is_known: false };
  expect(await scene.bench.start(scene.claude, { session_id, memory }).outcome).toMatchObject({ result: "fine" });
});

test("an allowed tool really runs, in the run's folder, and is reported", async () => {
  await using scene = await startScene((request) => bashOnce(request, "pwd > where.txt && echo done-it"));
  const turn = scene.bench.start(scene.claude, { prompt: "use the tool", tools: ["Bash"] });
  expect(await turn.outcome).toMatchObject({ result: "finished" });
  const tools = turn.events.filter(({ event_type }) => event_type.startsWith("run.tool"));
  expect(tools).toMatchObject([
    { event_type: "run.tool_use", payload: { name: "Bash" } },
    { event_type: "run.tool_result", payload: { is_error: false, content: expect.stringContaining("done-it") } },
  ]);
  expect((await readFile(join(scene.bench.cwd, "where.txt"), "utf8")).trim()).toBe(scene.bench.cwd);
  const offered = scene.model.requests[0]?.tools?.map(({ name }) => name) ?? [];
  expect(offered).toContain("Bash");
  expect(offered).not.toContain("Write");
});

test("without tools the agent is offered none, and one that it asks for does not run", async () => {
  await using scene = await startScene((request) => bashOnce(request, "touch ran.txt"));
  const turn = scene.bench.start(scene.claude, { prompt: "use the tool" });
  await turn.outcome;
  expect(scene.model.requests[0]?.tools ?? []).toEqual([]);
  await expect(readFile(join(scene.bench.cwd, "ran.txt"))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a cancel in the middle of a tool leaves no process, and the session goes on", async () => {
  const command = "echo $$ > tool.pid; trap '' INT TERM; while true; do sleep 0.2; done";
  await using scene = await startScene((request) => bashOnce(request, command));
  const turn = scene.bench.start(scene.claude, { prompt: "use the tool", tools: ["Bash"] });
  const tool = await until(() => readPid(join(scene.bench.cwd, "tool.pid")));
  expect(isAlive(tool)).toBe(true);
  const reason = new KsiError("RUN_CANCELLED", "cancelled");
  turn.abort(reason);
  await expect(turn.outcome).rejects.toBe(reason);
  await turn.ended;
  expect(isAlive(tool)).toBe(false);
  expect(findByMarker(scene.bench.reaper.marker)).toEqual([]);

  const memory = turn.handed[0] as Turn["memory"];
  const next = scene.bench.start(scene.claude, { session_id: turn.turn.session_id, memory, prompt: "go on" });
  expect(await next.outcome).toMatchObject({ result: "finished" });
});

test.each([
  [529, "MODEL_OVERLOADED"],
  [429, "MODEL_RATE_LIMITED"],
  [401, "MODEL_AUTH"],
  [404, "MODEL_NOT_FOUND"],
])("a provider that answers %i fails the run with %s", async (status, code) => {
  await using scene = await startScene(() => ({ status }));
  const turn = scene.bench.start(scene.claude);
  await expect(turn.outcome).rejects.toMatchObject({ code });
  const retries = turn.events.filter(({ event_type }) => event_type === "run.retrying");
  expect(retries).toHaveLength(status === 404 ? 0 : 1);
});

test("a broken stream retracts the text that the CLI has the model say anew", async () => {
  const gate = (delta: number) => until(() => delta < 2 || turn.text() === "answer number ");
  await using scene = await startScene((_request, before) =>
    before === 0 ? { text: ["answer ", "number "], end: "broken", gate } : { text: ["answer ", "number ", "two"] },
  );
  const turn = scene.bench.start(scene.claude);
  expect(await turn.outcome).toMatchObject({ result: "answer number two" });
  const said = turn.events.filter(({ event_type }) => event_type !== "run.retrying");
  expect(said.map(({ payload }) => payload)).toEqual([
    ...["answer ", "number "].map((text) => ({ text })),
    { chars: 14 },
    ...["answer ", "number ", "two"].map((text) => ({ text })),
  ]);
});

test.each(["max_tokens", "broken_behind"] as const)(
  "an answer from whose end (%s) the CLI has the model go on is one text",
  async (end) => {
    const gate = (delta: number) => until(() => delta < 1 || turn.text() === "the begin");
    await using scene = await startScene((_request, before) =>
      before === 0 ? { text: ["the begin"], end, gate } : { text: ["ning and the end"] },
    );
    const turn = scene.bench.start(scene.claude);
    const result = "the beginning and the end";
    expect(await turn.outcome).toMatchObject({ result, raw: { result: "ning and the end" } });
    expect(turn.text()).toBe(result);
    expect(scene.model.requests).toHaveLength(2);
  },
);

test("a schema of another draft than the CLI knows is taken", async () => {
  await using scene = await startScene(() => ({ tool: "StructuredOutput", input: { answer: 4 } }));
  const $schema = "https://json-schema.org/draft/2020-12/schema";
  const { outcome } = scene.bench.start(scene.claude, { output_schema: { $schema, type: "object" } });
  expect(await outcome).toMatchObject({ output: { answer: 4 } });
});

test("structured output arrives as a value; where the model never gives it, the run fails", async () => {
  const output_schema = { type: "object", properties: { answer: { type: "number" } }, required: ["answer"] };
  await using scene = await startScene((request) =>
    JSON.stringify(request.messages).includes("please")
      ? { tool: "StructuredOutput", input: { answer: 4 } }
      : { text: ["no"] },
  );
  const { outcome } = scene.bench.start(scene.claude, { output_schema, prompt: "2+2, please" });
  expect(await outcome).toMatchObject({ output: { answer: 4 }, result: '{"answer":4}' });
  const refused = scene.bench.start(scene.claude, { output_schema, prompt: "2+2" });
  await expect(refused.outcome).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
});

test("a schema that is none is refused with the CLI's reason", async () => {
  await using scene = await startScene(() => ({ text: ["unused"] }));
  const { outcome } = scene.bench.start(scene.claude, { output_schema: { type: "nonsense" } });
  await expect(outcome).rejects.toMatchObject({ code: "OUTPUT_INVALID", message: expect.stringContaining("type") });
});

test("each turn has the system prompt that it was given, and no other", async () => {
  await using scene = await startScene(() => ({ text: ["fine"] }));
  const { turn } = await firstTurn(scene, { system_prompt: "--You are a ZEBRA\nof many lines" });
  await (await startNext(scene, turn, { system_prompt: "You are a GIRAFFE" })).ended;
  await (await startNext(scene, turn, {})).ended;
  const animals = scene.model.requests.map(({ system }) => JSON.stringify(system).match(/ZEBRA|GIRAFFE/g));
  expect(animals).toEqual([["ZEBRA"], ["GIRAFFE"], null]);
});

test("a prompt neither attaches files nor runs commands", async () => {
  await using scene = await startScene(() => ({ text: ["fine"] }));
  const secret = join(scene.bench.cwd, "secret.txt");
  await writeFile(secret, "the-secret-itself");
  await scene.bench.start(scene.claude, { prompt: `what is in @${secret} ?` }).outcome;
  const command = scene.bench.start(scene.claude, { prompt: "/cost of living" });
  expect(await command.outcome).toMatchObject({ result: "fine" });
  const [attached, slash] = scene.model.requests.map(({ messages }) => JSON.stringify(messages));
  expect(attached).not.toContain("the-secret-itself");
  expect(slash).toContain("/cost of living");
});

test("the model sees the very bytes of an image before the prompt, then and when the session is resumed", async () => {
  await using scene = await startScene(() => ({ text: ["a picture"] }));
  const images = [createPicture(8), createPicture(9)] satisfies Image[];
  const first = await firstTurn(scene, { images, prompt: "/cost of living" });
  const [pictures, words] = [images.map(toBlock), { text: " /cost of living\n" }];
  // What follows tells the agent where the CLI has put a copy of each.
  expect(blocksOf(scene.model.requests[0]).slice(0, 3)).toMatchObject([...pictures, words]);
  const next = scene.bench.start(scene.claude, { ...first.turn, images: [createPicture(10)], prompt: "and this?" });
  expect(await next.outcome).toMatchObject({ result: "a picture", num_turns: 1 });
  await next.ended;
  const seen = blocksOf(scene.model.requests[1]).filter(({ type }) => type === "image");
  expect(seen).toMatchObject([...images, createPicture(10)].map(toBlock));
  await scene.bench.start(scene.claude, { ...first.turn, prompt: "without" }).outcome;
  expect(blocksOf(scene.model.requests[2]).filter(({ type }) => type === "image")).toHaveLength(3);
});

test("an image and an output_schema go together", async () => {
  const output_schema = { type: "object", properties: { answer: { type: "number" } }, required: ["answer"] };
  await using scene = await startScene(() => ({ tool: "StructuredOutput", input: { answer: 4 } }));
  const images = [createPicture(8)];
  const { outcome } = scene.bench.start(scene.claude, { images, output_schema, prompt: "how many?" });
  expect(await outcome).toMatchObject({ output: { answer: 4 } });
});

test("a lost conversation, a session in use and a provider's error are told as without images", async () => {
  await using scene = await startScene(() => ({ status: 404 }));
  const images = [createPicture(8)];
  const session_id = crypto.randomUUID();
  const lost = scene.bench.start(scene.claude, { images, memory: { cli_session_id: session_id, is_known: true } });
  await expect(lost.outcome).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
  const refused = scene.bench.start(scene.claude, { images, session_id });
  await expect(refused.outcome).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
  await refused.ended;
  const again = scene.bench.start(scene.claude, { images, session_id });
  await expect(again.outcome).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
});

test("an interrupt in the middle of an answer ends the CLI within its grace, with and without images", async () => {
  const gate = (delta: number) => (delta < 2 ? Promise.resolve() : new Promise(() => {}));
  await using scene = await startScene(() => ({ text: ["one ", "two ", "never"], gate }));
  for (const images of [[], [createPicture(8)]]) {
    const turn = scene.bench.start(scene.claude, { images, prompt: "count" });
    await until(() => turn.text() === "one two ");
    const abortedAt = performance.now();
    turn.abort(new RunCancelled({ grace_ms: 20_000 }));
    await turn.ended;
    const goneMs = Math.round(performance.now() - abortedAt);
    console.info(`interrupted in its answer, with ${images.length} images: gone after ${goneMs} ms`);
    expect(goneMs).toBeLessThan(5_000);
  }
});

test.each([
  ["nothing", ""],
  ["no JSON", "hello\n"],
  ["a line without a message", '{"type":"user"}\n'],
  ["a plain line of text", '{"type":"user","message":{"role":"user","content":"hi\u2028"}}'],
])("the stand-in takes stream-json as the CLI does: %s", async (_, stdin) => {
  await using scene = await startScene(() => ({ text: ["hi"] }));
  await using standIn = await createClaudeStandIn();
  const runs = [bin, standIn.bin].map(async (file) => {
    const args = ["--print", "--verbose", "--input-format=stream-json", "--output-format=stream-json", "--tools="];
    const child = spawn(file, args, { env: scene.env, cwd: scene.bench.cwd });
    child.stdin.end(stdin);
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    const results = out.split("\n").filter((line) => line.includes('"type":"result"'));
    return { code, err: err.trim(), results: results.map((line) => JSON.parse(line).result) };
  });
  const [real, imitated] = await Promise.all(runs);
  expect(imitated).toEqual(real);
});

interface Block {
  readonly type: string;
}

/** What the user said in all turns. */
function blocksOf(request: ModelRequest | undefined): Block[] {
  const said = request?.messages.filter(({ role }) => role === "user") ?? [];
  return said.flatMap(({ content }) => (Array.isArray(content) ? (content as Block[]) : []));
}

function toBlock({ media_type, data }: Image) {
  return { type: "image", source: { type: "base64", media_type, data } };
}

/** A grey square; the CLI passes on as it is what it need not make smaller. */
function createPicture(pixels: number): Image {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(pixels, 0);
  header.writeUInt32BE(pixels, 4);
  header[8] = 8;
  const rows = deflateSync(Buffer.alloc(pixels * (pixels + 1)));
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  const parts = [signature, pngChunk("IHDR", header), pngChunk("IDAT", rows), pngChunk("IEND", Buffer.alloc(0))];
  return { media_type: "image/png", data: Buffer.concat(parts).toString("base64") };
}

function pngChunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, checksum]);
}

/** Asks for the tool once, and is finished when it has the answer. */
function bashOnce(request: ModelRequest, command: string): ModelAnswer {
  const hasResult = JSON.stringify(request.messages).includes("tool_result");
  return hasResult ? { text: ["finished"] } : { tool: "Bash", input: { command, description: "a test" } };
}

async function firstTurn(scene: Scene, fields: Partial<Turn>) {
  const { outcome, turn, ended } = scene.bench.start(scene.claude, fields);
  const { memory, cost_usd } = await outcome;
  await ended;
  return { turn: { session_id: turn.session_id, memory } satisfies Partial<Turn>, cost_usd };
}

async function startNext(scene: Scene, turn: Partial<Turn>, fields: Partial<Turn>) {
  const started = scene.bench.start(scene.claude, { ...turn, ...fields });
  await started.outcome;
  return started;
}

async function readPid(file: string): Promise<number | undefined> {
  const text = await readFile(file, "utf8").catch(() => "");
  return Number(text) || undefined;
}
