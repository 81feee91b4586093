/** A client whose types openapi-typescript writes from the document that a live daemon serves. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startLiveDaemon } from "./live-daemon.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");
/** Where openapi-typescript is installed, with the older TypeScript that it needs. */
const home = join(root, "examples/05-openapi-fetch");

const program = `
import createClient from "openapi-fetch";
import type { paths } from "./api.ts";

const headers = { authorization: "Bearer " + process.env.KSI_TOKEN };
const api = createClient<paths>({ baseUrl: process.env.KSI_URL ?? "", headers });
const { data } = await api.POST("/api/v1/spawn", { body: { prompt: "Hello, types!", model: "echo" } });
const run_id: string = data?.run_id ?? "";
const result = await api.GET("/api/v1/runs/{run_id}/result", { params: { path: { run_id }, query: { wait_ms: 9000 } } });
console.log(result.data?.status, result.data?.result);
const refused = await api.GET("/api/v1/agents/{agent_id}", { params: { path: { agent_id: "nobody" } } });
console.log(refused.response.status, refused.error?.error.code);
const where = { params: { path: { namespace: "plans", key: "release/1" } } };
const set = await api.PUT("/api/v1/state/{namespace}/{key}", { ...where, body: { value: ["a", 1], if_version: 0 } });
const held = await api.GET("/api/v1/state/{namespace}/{key}", where);
console.log(held.data?.value, held.data?.version === set.data?.version);
const message = { source: "alice", event_type: "HELLO", payload: null };
const both = await api.POST("/api/v1/messages", { body: { ...message, target: "bob", capability: ["talk"] } });
console.log(both.response.status, both.error?.error.issues?.[0]?.path);
const chat = await api.POST("/v1/chat/completions", {
  body: { model: "echo", messages: [{ role: "user", content: "Hello, chat!" }] },
});
const choice = chat.data?.choices[0];
if (choice && "message" in choice) console.log(choice.message.content);
`;

test("a client generated from the served document compiles and runs, and its wrong use does not compile", async () => {
  await using live = await startLiveDaemon();
  await using folder = await createFolderInside();
  const { url, token } = live.daemon;
  const generator = join(home, "node_modules/openapi-typescript/bin/cli.js");
  const flags = ["--output", join(folder.path, "api.ts"), "--default-non-nullable=false"];
  await run(process.execPath, [generator, `${url}/openapi.json`, ...flags], { cwd: home });
  await writeFile(join(folder.path, "main.ts"), program);
  const settings = { extends: join(root, "tsconfig.base.json"), compilerOptions: { noEmit: true, composite: false } };
  await writeFile(join(folder.path, "tsconfig.json"), JSON.stringify({ ...settings, include: ["*.ts"] }));

  const env = { ...process.env, KSI_URL: url, KSI_TOKEN: token };
  expect(await compile(folder.path)).toBe("");
  const { stdout } = await run(process.execPath, ["main.ts"], { cwd: folder.path, env });
  expect(stdout.trim().split("\n")).toEqual([
    "completed Hello, types!",
    "404 NOT_FOUND",
    "[ 'a', 1 ] true",
    "422 capability",
    "Hello, chat!",
  ]);

  await writeFile(join(folder.path, "main.ts"), program.replace('prompt: "Hello, types!"', "prompt: 5"));
  expect(await compile(folder.path)).toMatch(/main\.ts.*Type 'number' is not assignable to type 'string'/);
  await writeFile(join(folder.path, "main.ts"), program.replace('capability: ["talk"]', "capability: [5]"));
  expect(await compile(folder.path)).toMatch(/main\.ts.*Type 'number' is not assignable to type 'string'/);
});

/** What the compiler has to say. */
async function compile(folder: string): Promise<string> {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
  return stdout;
}

/** Inside the checkout, so that packages are found by name. */
async function createFolderInside(): Promise<AsyncDisposable & { path: string }> {
  await mkdir(join(root, ".cache"), { recursive: true });
  const path = await mkdtemp(join(root, ".cache/generated-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
