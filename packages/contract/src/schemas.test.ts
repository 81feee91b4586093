import { expect, test } from "vitest";
import type { z } from "zod";
import { publishInput } from "./events.ts";
import { schemas } from "./index.ts";
import { limits } from "./limits.ts";
import { invalidInput } from "./trpc.ts";

const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
const spawn = { prompt: "hi" };
const image = { media_type: "image/png", data: "AA+/" };
const fullImage = Buffer.alloc(limits.imageBytes).toString("base64");
const message = { source: "alice", event_type: "HELLO", payload: null };
const published = { source: "alice", event_type: "x.done", payload: null };
const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth)) as unknown;
const loop: unknown[] = [];
loop.push(loop);
const long = (length: number) => "x".repeat(length);
/** A string whose JSON has so many bytes. */
const jsonOf = (bytes: number) => long(bytes - 2);

/** The error of the schema as a caller sees it; undefined if it takes the input. */
function refusal(schema: z.ZodType, input: unknown) {
  const { success, error } = schema.safeParse(input);
  return success ? undefined : invalidInput(error);
}

const tooMuch: [z.ZodType, object, string][] = [
  [schemas.spawnInput, { prompt: "" }, "prompt"],
  [schemas.spawnInput, { prompt: long(limits.promptChars + 1) }, "prompt"],
  [schemas.spawnInput, { prompt: 4 }, "prompt"],
  [schemas.spawnInput, {}, "prompt"],
  [schemas.spawnInput, { ...spawn, session_id: session_id.toUpperCase() }, "session_id"],
  [schemas.spawnInput, { ...spawn, session_id: "../../etc/passwd" }, "session_id"],
  [schemas.spawnInput, { ...spawn, model: "--dangerously-skip-permissions" }, "model"],
  [schemas.spawnInput, { ...spawn, model: long(201) }, "model"],
  [schemas.spawnInput, { ...spawn, tools: ["Read", "--flag"] }, "tools.1"],
  [schemas.spawnInput, { ...spawn, tools: Array(101).fill("Read") }, "tools"],
  [schemas.spawnInput, { ...spawn, agent_id: "-rf" }, "agent_id"],
  [schemas.spawnInput, { ...spawn, agent_id: long(129) }, "agent_id"],
  [schemas.spawnInput, { ...spawn, agent_profile: long(129) }, "agent_profile"],
  [schemas.spawnInput, { ...spawn, system_prompt: long(limits.systemPromptChars + 1) }, "system_prompt"],
  [schemas.spawnInput, { ...spawn, cwd: long(4097) }, "cwd"],
  [schemas.spawnInput, { ...spawn, priority: 101 }, "priority"],
  [schemas.spawnInput, { ...spawn, priority: 0.5 }, "priority"],
  [schemas.spawnInput, { ...spawn, timeout_ms: 0 }, "timeout_ms"],
  [schemas.spawnInput, { ...spawn, timeout_ms: limits.runTimeoutMsMax + 1 }, "timeout_ms"],
  [schemas.spawnInput, { ...spawn, idempotency_key: long(256) }, "idempotency_key"],
  [schemas.spawnInput, { ...spawn, metadata: { text: long(limits.jsonBytes) } }, "metadata"],
  [schemas.spawnInput, { ...spawn, metadata: "text" }, "metadata"],
  [schemas.spawnInput, { ...spawn, output_schema: { description: "ü".repeat(limits.jsonBytes / 2) } }, "output_schema"],
  [schemas.spawnInput, { ...spawn, images: Array(limits.images + 1).fill(image) }, "images"],
  [schemas.spawnInput, { ...spawn, images: [image, { ...image, media_type: "image/svg+xml" }] }, "images.1.media_type"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "" }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "AA-_" }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "AA\nA" }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "A===" }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "AA" }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: "A".repeat(fullImage.length + 4) }] }, "images.0.data"],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: `!${fullImage.slice(1)}` }] }, "images.0.data"],
  [schemas.resultInput, { run_id: "a", wait_ms: limits.waitMsMax + 1 }, "wait_ms"],
  [schemas.runRef, { run_id: "../a" }, "run_id"],
  [schemas.runRef, { run_id: long(65) }, "run_id"],
  [schemas.cancelInput, { run_id: "a", reason: long(501) }, "reason"],
  [schemas.cancelInput, { run_id: "a", grace_ms: limits.cancelGraceMsMax + 1 }, "grace_ms"],
  [schemas.cancelInput, { run_id: "a", grace_ms: -1 }, "grace_ms"],
  [schemas.runsListInput, { limit: limits.pageMax + 1 }, "limit"],
  [schemas.runsListInput, { limit: 0 }, "limit"],
  [schemas.runsListInput, { after: long(201) }, "after"],
  [schemas.runsListInput, { status: "asleep" }, "status"],
  [schemas.registerInput, { agent_id: "" }, "agent_id"],
  [schemas.registerInput, { agent_id: "a", capabilities: [long(101)] }, "capabilities.0"],
  [schemas.registerInput, { agent_id: "a", capabilities: Array(101).fill("x") }, "capabilities"],
  [schemas.sendInput, { ...message, source: "no spaces" }, "source"],
  [schemas.sendInput, { ...message, target: "*" }, "target"],
  [schemas.sendInput, { ...message, event_type: "run.completed" }, "event_type"],
  [schemas.sendInput, { ...message, event_type: long(129) }, "event_type"],
  [schemas.sendInput, { ...message, payload: jsonOf(limits.payloadBytes + 1) }, "payload"],
  [schemas.sendInput, { source: "a", event_type: "HELLO" }, "payload"],
  [schemas.sendInput, { ...message, payload: nested(limits.jsonDepth + 1) }, "payload"],
  [schemas.sendInput, { ...message, payload: nested(1_000) }, "payload"],
  [schemas.spawnInput, { ...spawn, metadata: { deep: nested(limits.jsonDepth) } }, "metadata"],
  [schemas.sendInput, { ...message, payload: nested(100_000) }, "payload"],
  [schemas.sendInput, { ...message, payload: loop }, "payload"],
  [schemas.sendInput, { ...message, payload: JSON.parse('{"a":[{"__proto__":{"b":1}}]}') }, "payload.a.0.__proto__"],
  [schemas.sendInput, { ...message, payload: { constructor: 1 } }, "payload.constructor"],
  [publishInput, { ...published, payload: [{ prototype: {} }] }, "payload.0.prototype"],
  [schemas.spawnInput, { ...spawn, metadata: JSON.parse('{"__proto__":1}') }, "metadata.__proto__"],
  [
    schemas.spawnInput,
    { ...spawn, output_schema: { properties: { constructor: {} } } },
    "output_schema.properties.constructor",
  ],
  [schemas.registerInput, { agent_id: "a", metadata: { prototype: 1 } }, "metadata.prototype"],
  [schemas.sendInput, { ...message, payload: { at: new Date() } }, "payload.at"],
  [schemas.sendInput, { ...message, payload: new Map() }, "payload"],
  [schemas.sendInput, { ...message, payload: [1n] }, "payload.0"],
  [schemas.sendInput, { ...message, payload: { at: undefined } }, "payload.at"],
  [schemas.sendInput, { ...message, payload: { at: Number.NaN } }, "payload.at"],
  [schemas.sendInput, { ...message, payload: { [long(1_000)]: 1n } }, `payload.${long(64)}…`],
  [schemas.spawnInput, { ...spawn, metadata: { at: new Set() } }, "metadata.at"],
  [schemas.historyInput, { after: "yesterday" }, "after"],
  [schemas.follow, { lastEventId: "not-a-cursor" }, "lastEventId"],
  [schemas.follow, { from: "tomorrow" }, "from"],
  [publishInput, { ...published, event_type: "done" }, "event_type"],
  [publishInput, { ...published, event_type: "run.completed" }, "event_type"],
  [publishInput, { ...published, payload: jsonOf(limits.payloadBytes + 1) }, "payload"],
];

test.for(tooMuch)("input %# is refused with a message and an issue that name the field", ([schema, input, field]) => {
  const error = refusal(schema, input);
  expect(error).toMatchObject({ code: "INVALID_INPUT", details: { issues: [{ path: field }] } });
  expect(error?.message.startsWith(`${field}: `)).toBe(true);
  expect(error?.message).not.toMatch(zodsWords);
  expect(error?.message.length).toBeLessThan(300);
});

const zodsWords = /expected|received|Invalid|Too (small|big)|is no valid/;

const atTheLimit: [z.ZodType, object][] = [
  [schemas.spawnInput, { prompt: long(limits.promptChars) }],
  [schemas.spawnInput, { ...spawn, session_id, priority: 0, timeout_ms: limits.runTimeoutMsMax }],
  [schemas.spawnInput, { ...spawn, model: "openai/gpt-4.1:free@v2[1m]", agent_id: long(128) }],
  [schemas.spawnInput, { ...spawn, images: [{ ...image, data: fullImage }, ...Array(limits.images - 1).fill(image)] }],
  [schemas.spawnInput, { ...spawn, images: [] }],
  [schemas.cancelInput, { run_id: "a", grace_ms: 0 }],
  [schemas.sendInput, { ...message, payload: jsonOf(limits.payloadBytes) }],
  [schemas.sendInput, { ...message, payload: nested(limits.jsonDepth) }],
  [schemas.sendInput, { ...message, event_type: "x.greeting" }],
  [schemas.sendInput, { ...message, payload: { proto: 1, "constructor.name": [], toString: null, "": true } }],
  [publishInput, { ...published, event_type: `x.${long(126)}` }],
  [schemas.resultInput, { run_id: "a", wait_ms: limits.waitMsMax }],
  [schemas.runsListInput, { limit: limits.pageMax }],
  [schemas.follow, { lastEventId: "1700000000000.42", from: "oldest" }],
  [schemas.follow, { lastEventId: null }],
];

test.for(atTheLimit)("input %#, at the limit, is taken", ([schema, input]) => {
  expect(refusal(schema, input)).toBeUndefined();
});

test("several wrong fields are all named, in one sentence and as issues", () => {
  const error = refusal(schemas.spawnInput, { prompt: "", session_id: "x", priority: 1000 });
  expect(error?.details?.issues?.map(({ path }) => path)).toEqual(["prompt", "session_id", "priority"]);
  for (const field of ["prompt: ", "session_id: ", "priority: "]) expect(error?.message).toContain(field);
});

test("what a caller leaves out gets its default, and what KSI does not know is left away", () => {
  expect(schemas.spawnInput.parse({ prompt: "hi", command: "SPAWN", timestamp: 1 })).toEqual({
    prompt: "hi",
    enable_tools: true,
    priority: 50,
  });
  expect(schemas.page.parse({})).toEqual({ limit: limits.pageDefault });
  expect(schemas.resultInput.parse({ run_id: "a" }).wait_ms).toBe(limits.waitMsDefault);
  expect(schemas.registerInput.parse({ agent_id: "a" }).capabilities).toEqual([]);
});

test("an image of full size fits into a body", () => {
  expect(JSON.stringify({ ...spawn, images: [{ ...image, data: fullImage }] }).length).toBeLessThan(limits.bodyBytes);
});

test("a full prompt in escaped JSON fits into a body", () => {
  expect(JSON.stringify("\u0001".repeat(limits.promptChars)).length).toBeLessThan(limits.bodyBytes);
});
