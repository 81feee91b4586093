import { randomUUID } from "node:crypto";
import { KsiError } from "@ksi/contract/errors";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { startLiveDaemon } from "./live-daemon.ts";

const live = await startLiveDaemon();
const { ksi, daemon } = live;
afterAll(() => live[Symbol.asyncDispose]());

test("a run is spawned, followed live and answered", async () => {
  const run = await ksi.run({ prompt: "What is 2+2?", model: "echo" });
  let text = "";
  const seen: string[] = [];
  for await (const event of run.events()) {
    seen.push(event.event_type);
    if (event.event_type === "run.text") text += event.payload.text;
  }
  expect(seen.slice(0, 2)).toEqual(["run.queued", "run.started"]);
  expect(seen.at(-1)).toBe("run.completed");
  const { result, session_id } = await run.result();
  expect(result).toBe("What is 2+2?");
  expect(text).toBe(result);
  expect(session_id).toBe(run.session_id);
});

test("where claude is missing the default model is echo", async () => {
  const run = await ksi.run({ prompt: "hello" });
  expect(await run.result()).toMatchObject({ model: "echo", result: "hello" });
});

test("a schema makes the result typed and validated", async () => {
  const output = z.object({ answer: z.number() });
  const run = await ksi.run({ prompt: '{"answer": 4}', model: "echo", output });
  expect((await run.result()).result.answer).toBe(4);
  const unmet = await ksi.run({ prompt: "not json", model: "echo", output });
  await expect(unmet.result()).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
});

test("runs of one session execute in the order accepted while another session goes ahead", async () => {
  const session_id = randomUUID();
  const slow = { echo: { delay_ms: 300 } };
  const prompts = ["one two three", "four five six", "seven eight nine"];
  const runs = [];
  for (const prompt of prompts) runs.push(await ksi.run({ prompt, model: "echo", session_id, metadata: slow }));
  const other = await ksi.run({ prompt: "other", model: "echo" });
  await other.result();
  expect((await ksi.runs.get(runs[2]?.run_id ?? "")).status).toBe("queued");
  await Promise.all(runs.map((run) => run.result()));
  const records = await Promise.all(runs.map((run) => ksi.runs.get(run.run_id)));
  for (const [index, record] of records.slice(1).entries()) {
    expect((record.started_at ?? "") >= (records[index]?.ended_at ?? "~")).toBe(true);
  }
  const { messages } = await ksi.sessions.messages({ session_id });
  expect(messages.filter(({ role }) => role === "human").map(({ content }) => content)).toEqual(prompts);
});

test("a failure scripted for the echo runner ends the run with that code", async () => {
  const run = await ksi.run({ prompt: "x", model: "echo", metadata: { echo: { fail: "MODEL_OVERLOADED" } } });
  await expect(run.result()).rejects.toMatchObject({ code: "MODEL_OVERLOADED" });
  expect(await ksi.runs.get(run.run_id)).toMatchObject({ status: "failed", error: { code: "MODEL_OVERLOADED" } });
});

test("a cancel ends a running run and a queued one, and says so to those who follow", async () => {
  const session_id = randomUUID();
  const long = { prompt: "a b c d e f g h i j", model: "echo", session_id, metadata: { echo: { delay_ms: 1000 } } };
  const [running, queued] = [await ksi.run(long), await ksi.run(long)];
  for await (const event of running.events()) if (event.event_type === "run.started") break;
  await queued.cancel();
  await running.cancel("enough");
  const last = [];
  for (const run of [running, queued]) for await (const event of run.events()) last.push(event.event_type);
  expect(last.filter((type) => type === "run.cancelled")).toHaveLength(2);
  await expect(running.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
  expect(last.filter((type) => type === "run.started")).toHaveLength(1);
});

test("a run over its time limit is timed out", async () => {
  const run = await ksi.run({
    prompt: "a b c d",
    model: "echo",
    timeout_ms: 50,
    metadata: { echo: { delay_ms: 5000 } },
  });
  await expect(run.result()).rejects.toMatchObject({ code: "RUN_TIMED_OUT" });
  expect((await ksi.runs.get(run.run_id)).status).toBe("timed_out");
});

test("a repeated idempotency key answers the first run, and another body with it is a conflict", async () => {
  const request = { prompt: "once", model: "echo", idempotency_key: randomUUID() };
  const [first, second] = [await ksi.run(request), await ksi.run(request)];
  expect(second.run_id).toBe(first.run_id);
  await expect(ksi.run({ ...request, prompt: "twice" })).rejects.toMatchObject({ code: "CONFLICT" });
});

test("messages wait in the inbox of an agent that is away, direct and broadcast, in order", async () => {
  for (const agent_id of ["alice", "bob", "carol"]) await ksi.agents.register({ agent_id, capabilities: ["talk"] });
  await ksi.messages.send({ source: "alice", target: "bob", event_type: "x.greeting", payload: { text: "hi" } });
  await ksi.messages.send({ source: "carol", event_type: "BROADCAST", payload: [1, null, "all"] });
  const inbox = ksi.agents.inbox("bob");
  const received = [];
  for await (const message of inbox) if (received.push(message) === 2) break;
  expect(received).toMatchObject([
    { source: "alice", target: "bob", event_type: "x.greeting", payload: { text: "hi" } },
    { source: "carol", event_type: "BROADCAST", payload: [1, null, "all"] },
  ]);
  const history = await ksi.messages.history({ agent_id: "bob" });
  expect(history.messages.map(({ id }) => id)).toContain(received[0]?.id);
  await ksi.agents.unregister("carol");
  await expect(ksi.agents.get("carol")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("an inbox resumes after the cursor that was kept", async () => {
  await ksi.agents.register({ agent_id: "dora" });
  const send = (text: string) => ksi.messages.send({ source: "eve", target: "dora", event_type: "x.n", payload: text });
  await send("one");
  await send("two");
  const before = ksi.agents.inbox("dora");
  for await (const message of before) if (message.payload === "one") break;
  const { cursor } = before;
  await send("three");
  const after = [];
  for await (const message of ksi.agents.inbox("dora", { cursor })) {
    if (after.push(message.payload) === 2) break;
  }
  expect(after).toEqual(["two", "three"]);
});

test("the firehose shows changes of state and messages but no text", async () => {
  const abort = new AbortController();
  const firehose = ksi.events.subscribe({}, { signal: abort.signal, from: "oldest" });
  const run = await ksi.run({ prompt: "seen by all", model: "echo" });
  const types = new Set<string>();
  for await (const event of firehose) {
    types.add(event.event_type);
    if (event.event_type === "run.completed" && event.run_id === run.run_id) break;
  }
  expect(types).toContain("agent.joined");
  expect(types).toContain("x.greeting");
  expect(types).not.toContain("run.text");
});

test("what nobody knows is not found, and what is wrong is named", async () => {
  await expect(ksi.runs.get("nope")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(ksi.sessions.get(randomUUID())).rejects.toMatchObject({ code: "NOT_FOUND" });
  const invalid = await ksi.run({ prompt: "x", session_id: "NOT-A-UUID" }).then(
    () => undefined,
    (error: unknown) => KsiError.from(error),
  );
  expect(invalid).toMatchObject({ code: "INVALID_INPUT", details: { issues: [{ path: "session_id" }] } });
  await expect(ksi.run({ prompt: "x", cwd: "/etc" })).rejects.toMatchObject({ code: "FORBIDDEN" });
  await expect(ksi.run({ prompt: "x", model: "no-such-model" })).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
});

test("status counts what is there", async () => {
  expect(await ksi.system.status()).toMatchObject({ status: "healthy", default_model: "echo", agents: 3 });
  expect(daemon.output()).not.toContain(daemon.token);
});
