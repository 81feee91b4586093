#!/usr/bin/env node
/**
 * A stand-in for the `claude` CLI: takes its flags, prints its lines, keeps sessions like it, and misbehaves when the
 * prompt says so. Plain JavaScript, so that any Node runs it as it is.
 *
 * Words of the prompt that begin with `#` are orders (`#delay=50 #crash=3`); the rest is what the answer repeats.
 * CLAUDE_STAND_IN_HOME names the folder with its sessions and records; `script.json` in it holds orders for every
 * turn (`{"delay": "50"}`). The table of orders is in claude-stand-in.ts; two of them are for measuring:
 *
 * - `#exit-at=N` ends it when exactly N bytes of stdout are written, be it in the middle of a line or of a character.
 *   The same prompt in the same folder always prints the same number of bytes, and the record of a turn's end holds it
 *   (`stdout_bytes`), so that a test can sample cuts below it. `#code=SIGKILL` makes the end a kill.
 * - `#deltas=N #every=MS` streams N pieces of text by the clock: the next is due MS after the one before was due,
 *   whatever the writing took. `#stamp` makes each piece the time at which it is written.
 *
 * With `--input-format stream-json` the prompt is one `user` line on stdin, as text or as blocks of text and images. As
 * with the CLI, the turn begins with the line, nothing limits the wait for it, and the process stays until stdin ends.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const home = process.env.CLAUDE_STAND_IN_HOME;
/** As long for every process, and so is what it prints. */
const processId = String(process.pid).padStart(7, "0");
const flags = readFlags(process.argv.slice(2));
if (flags.has("version")) {
  console.log("2.1.329 (Claude Code)");
  process.exit(0);
}
const { prompt, images } = await (flags.get("input-format") === "stream-json" ? readUserLine() : readText());
const orders = { ...readScript(), ...readOrders(prompt) };
const limit = orders["exit-at"] === undefined ? Number.POSITIVE_INFINITY : Number(orders["exit-at"]);
let printed = 0;

const said = prompt
  .split(/\s+/)
  .filter((word) => word !== "" && !word.startsWith("#"))
  .join(" ");
const session = flags.get("resume") ?? flags.get("session-id") ?? crypto.randomUUID();
const sessionFile = join(home, "sessions", `${session}.jsonl`);
record({ event: "started", ...(images && { images }) });
const earlier = existsSync(sessionFile) ? readFileSync(sessionFile, "utf8").trim().split("\n").filter(Boolean) : [];

if (flags.has("session-id") && existsSync(sessionFile)) {
  writeSync(2, `Error: Session ID ${session} is already in use.\n`);
  leave(1);
}
if (flags.has("resume") && !existsSync(sessionFile)) {
  const errors = [`No conversation found with session ID: ${session}`];
  print({ ...result("error_during_execution"), is_error: true, num_turns: 0, stop_reason: null, errors });
  writeSync(2, `${errors[0]}\n`);
  leave(1);
}
mkdirSync(join(home, "sessions"), { recursive: true });
appendFileSync(sessionFile, "");

for (const signal of (orders.ignore ?? "").split(",").filter(Boolean)) process.on(signal, () => {});
if (!(orders.ignore ?? "").includes("SIGINT")) {
  process.on("SIGINT", () => {
    print({ ...result("error_during_execution"), is_error: true, terminal_reason: "aborted_streaming", errors: [] });
    leave(0);
  });
}
await misbehaveBefore();

print({ type: "system", subtype: "init", cwd: process.cwd(), session_id: session, tools: [], model: modelName() });
if (orders["api-retry"]) {
  const fields = { attempt: 1, max_retries: 1, retry_delay_ms: 5, error_status: Number(orders["api-retry"]) };
  print({ type: "system", subtype: "api_retry", ...fields, session_id: session });
}
if (orders.tool) useTool(orders.tool);
if (orders.hang !== undefined) await forever();
if (orders["api-error"]) await refuse(Number(orders["api-error"]));
if (orders["max-turns"] !== undefined) giveUp("error_max_turns", "Reached maximum number of turns (1)");
if (orders.budget !== undefined) giveUp("error_max_budget_usd", "Reached maximum budget ($1)");

const schema = flags.get("json-schema");
const output = orders.output === undefined ? said : orders.output;
const isSatisfied = schema !== undefined && orders["no-output"] === undefined;
const answer = await stream(chooseWords());
if (orders.crash !== undefined) leave(Number(orders.crash) || 3);
if (orders.kill !== undefined) process.kill(process.pid, "SIGKILL");

appendFileSync(sessionFile, `${JSON.stringify(said)}\n`);
print({
  ...result("success"),
  result: answer,
  stop_reason: "end_turn",
  ...(isSatisfied && { structured_output: JSON.parse(output) }),
});
record({ event: "ended", stdout_bytes: printed });
if (orders.linger !== undefined) await sleep(Number(orders.linger) || 1e9);
if (!process.stdin.readableEnded) await once(process.stdin, "end");
leave(0);

function chooseWords() {
  if (orders.deltas !== undefined) return Array.from({ length: Number(orders.deltas) }, (_, i) => `${i + 1} `);
  const unstructured = orders.recall === undefined ? said : earlier.map((line) => JSON.parse(line)).join(" | ");
  return (isSatisfied ? output : unstructured).match(/\S+\s*/g) ?? [];
}

/** Everything that goes wrong before a word is said. */
async function misbehaveBefore() {
  if (orders.start) await sleep(Number(orders.start));
  if (orders.fork !== undefined) forkGrandchildren(orders.fork);
  if (orders["flood-stderr"]) flood(2, Number(orders["flood-stderr"]), "x".repeat(99));
  if (orders["long-line"]) flood(1, Number(orders["long-line"]), undefined);
  if (orders["flood-stdout"])
    flood(1, Number(orders["flood-stdout"]), JSON.stringify({ type: "noise", x: "y".repeat(900) }));
  if (orders.garbage !== undefined) {
    writeSync(1, "Welcome! This is not JSON.\nNeither is this.\n");
    leave(Number(orders.garbage) || 0);
  }
}

/**
 * Sleepers that ignore signals: `group` in a process group of their own, `session` orphaned in a session of their own,
 * `background` plain children that also keep stdout open. Their pids are recorded.
 */
function forkGrandchildren(kinds) {
  for (const kind of (kinds || "group,session,background").split(",")) {
    const sleeper =
      "process.on('SIGINT',()=>{});process.on('SIGTERM',()=>{});process.on('SIGHUP',()=>{});setInterval(()=>{},1e6)";
    if (kind === "session") {
      // An orphan: its parent records it and is gone, and shared its session with nobody.
      const options = "{detached:true,stdio:'ignore'}";
      const start = `const c=require('node:child_process').spawn(process.execPath,['-e',${JSON.stringify(sleeper)}],${options});c.unref();console.log(c.pid)`;
      const { stdout } = spawnSync(process.execPath, ["-e", start], { encoding: "utf8" });
      recordChild(kind, Number(stdout));
      continue;
    }
    const isBackground = kind === "background";
    const options = { detached: !isBackground, stdio: isBackground ? "inherit" : "ignore" };
    const child = spawn(process.execPath, ["-e", sleeper], options);
    child.unref();
    recordChild(kind, child.pid);
  }
}

function recordChild(kind, pid) {
  appendFileSync(join(home, "children.jsonl"), `${JSON.stringify({ kind, pid })}\n`);
}

function flood(fd, bytes, line) {
  const text = line === undefined ? "z".repeat(64 * 1024) : `${line}\n`;
  for (let left = bytes; left > 0; left -= text.length) writeAll(fd, text);
}

function useTool(name) {
  const id = `toolu_${processId}`;
  assistant([{ type: "tool_use", id, name, input: { command: "true" } }]);
  const content = "r".repeat(Number(orders["tool-result"] ?? 2));
  const message = { role: "user", content: [{ tool_use_id: id, type: "tool_result", content, is_error: false }] };
  print({ type: "user", message, parent_tool_use_id: null, session_id: session });
}

async function refuse(status) {
  const text = `API Error: ${status} scripted`;
  const error = { 401: "authentication_failed", 404: "model_not_found", 429: "rate_limit" }[status] ?? "server_error";
  const message = { id: "msg_0", role: "assistant", model: "<synthetic>", content: [{ type: "text", text }] };
  print({
    type: "assistant",
    message,
    parent_tool_use_id: null,
    session_id: session,
    error,
    is_api_error_message: true,
  });
  print({ ...result("success"), is_error: true, api_error_status: status, terminal_reason: "api_error", result: text });
  if (orders.linger !== undefined) await sleep(Number(orders.linger));
  leave(1);
}

function giveUp(subtype, error) {
  print({ ...result(subtype), is_error: true, errors: [error] });
  leave(1);
}

/** Gives the text of the last message, which alone is the CLI's result. */
async function stream(words) {
  if (orders.break) {
    await streamMessage(words.slice(0, Number(orders.break)), { id: `msg_broken_${processId}`, isBroken: true });
    return await streamMessage(words);
  }
  const limit = Number(orders["max-tokens"] ?? 0);
  if (limit > 0) await streamMessage(words.slice(0, limit), { id: `msg_begun_${processId}`, isLimited: true });
  return await streamMessage(words.slice(limit));
}

async function streamMessage(words, { id = `msg_${processId}`, isBroken = false, isLimited = false } = {}) {
  const event = (fields, more) =>
    print({ type: "stream_event", event: fields, session_id: session, parent_tool_use_id: null, ...more });
  event({
    type: "message_start",
    message: { id, type: "message", role: "assistant", model: modelName(), content: [] },
  });
  event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } });
  if (orders.think)
    event({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: orders.think } });
  const startedAt = performance.now();
  let text = "";
  for (const [i, word] of words.entries()) {
    if (orders.delay) await sleep(Number(orders.delay));
    const waitMs = orders.every === undefined ? 0 : startedAt + i * Number(orders.every) - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const said = orders.stamp === undefined ? word : `${(performance.timeOrigin + performance.now()).toFixed(3)} `;
    event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: said } });
    text += said;
  }
  if (!isBroken) assistant([{ type: "text", text }], id);
  event({ type: "content_block_stop", index: 0 });
  if (isLimited) event({ type: "message_delta", delta: { stop_reason: "max_tokens", stop_sequence: null } });
  event({ type: "message_stop" }, isBroken && { abandoned_blocks: { api_message_id: id, from_block_index: 0 } });
  return text;
}

function assistant(content, id = `msg_tool_${processId}`) {
  const message = { id, type: "message", role: "assistant", model: modelName(), content, stop_reason: null };
  print({ type: "assistant", message, parent_tool_use_id: null, session_id: session });
}

/** As the CLI counts: usage for this turn, cost for the session. */
function result(subtype) {
  const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  const total_cost_usd = 0.01 * (earlier.length + 1);
  const numbers = { duration_ms: 1, num_turns: 1, total_cost_usd, usage };
  return { type: "result", subtype, is_error: false, session_id: session, ...numbers, permission_denials: [] };
}

function print(line) {
  writeAll(1, `${JSON.stringify(line)}\n`);
}

/** Stdout is written at once, as a program does that may be killed. */
function writeAll(fd, text) {
  let bytes = Buffer.from(text);
  const isLast = fd === 1 && printed + bytes.length >= limit;
  if (isLast) bytes = bytes.subarray(0, limit - printed);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code === "EPIPE") leave(1);
      if (error.code !== "EAGAIN") throw error;
      // The pipe is full: the reader is slow on purpose, and waiting is what a program does then.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  if (fd === 1) printed += bytes.length;
  if (isLast) cutOff(orders.code ?? "1");
}

function cutOff(code) {
  if (code.startsWith("SIG")) process.kill(process.pid, code);
  else leave(Number(code));
}

function leave(code) {
  process.exit(code);
}

function forever() {
  setInterval(() => {}, 1e6);
  return new Promise(() => {});
}

function record(fields) {
  const kept = { ...fields, at: Date.now(), pid: process.pid, session_id: session, prompt, cwd: process.cwd() };
  const line = { ...kept, args: process.argv.slice(2), env: Object.keys(process.env), ...readSystemPrompt() };
  appendFileSync(join(home, "turns.jsonl"), `${JSON.stringify(line)}\n`);
}

function readSystemPrompt() {
  const file = flags.get("append-system-prompt-file");
  return file === undefined ? {} : { system_prompt: readFileSync(file, "utf8") };
}

function modelName() {
  return `claude-${flags.get("model") ?? "sonnet"}-stand-in`;
}

function readFlags(args) {
  const read = new Map();
  for (let i = 0; i < args.length; i++) {
    const [, name, value] = /^--([a-zA-Z-]+)(?:=([\s\S]*))?$/.exec(args[i]) ?? [];
    if (name === undefined) continue;
    const takesNext = value === undefined && args[i + 1] !== undefined && !args[i + 1].startsWith("--");
    read.set(name, takesNext ? args[++i] : (value ?? ""));
  }
  return read;
}

function readScript() {
  const file = join(home, "script.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

/** `#name` or `#name=value`. */
function readOrders(text) {
  const words = text.split(/\s+/).filter((word) => /^#[a-z]/.test(word));
  return Object.fromEntries(words.map((word) => [word.slice(1).split("=")[0], word.split("=").slice(1).join("=")]));
}

/** Like the CLI, gives up on a stdin that stays silent for three seconds. */
async function readText() {
  const timer = setTimeout(() => {
    writeSync(2, "Warning: no stdin data received in 3s, proceeding without it.\n");
    writeSync(2, "Error: Input must be provided either through stdin or as a prompt argument when using --print\n");
    leave(1);
  }, 3_000);
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    clearTimeout(timer);
    text += chunk;
  }
  clearTimeout(timer);
  return { prompt: text };
}

/** Begins with the line, without an end of stdin. */
async function readUserLine() {
  const { promise, resolve } = Promise.withResolvers();
  let read = "";
  process.stdin.setEncoding("utf8").on("data", (chunk) => {
    read += chunk;
    // Not readline, to which U+2028 is an end of line.
    if (chunk.includes("\n")) resolve(read.slice(0, read.indexOf("\n")));
  });
  process.stdin.once("end", () => resolve(read));
  const line = await promise;
  // Nothing was asked, so nothing is said.
  return line.trim() === "" ? leave(0) : parseUserLine(line);
}

function parseUserLine(line) {
  const refuse = (why) => {
    writeSync(2, `${why}\n`);
    leave(1);
  };
  let read;
  try {
    read = JSON.parse(line);
  } catch (error) {
    refuse(`Error parsing streaming input line (type=unknown, ${line.length} chars): ${error.name}`);
  }
  const { role, content } = read.message ?? {};
  if (read.type !== "user" || role !== "user") refuse(`Error: Expected message role 'user', got '${role}'`);
  const blocks = typeof content === "string" ? [{ type: "text", text: content }] : content;
  return {
    prompt: blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n"),
    images: blocks.flatMap((block) => (block.type === "image" ? [block.source] : [])),
  };
}
