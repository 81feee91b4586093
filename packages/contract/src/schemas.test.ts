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
const messageId = "5a2c1f0e-7b3d-4c8e-a1f2-9d0e6b4c3a21";
const inbox = { agent_id: "bob" };
const state = { namespace: "plans", key: "release/1" };
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
  [schemas.registerInput, { agent_id: "a", capabilities: ["talk", ""] }, "capabilities.1"],
  [schemas.registerInput, { agent_id: "a", capabilities: ["a\nb"] }, "capabilities.0"],
  [schemas.registerInput, { agent_id: "a", profile: long(129) }, "profile"],
  [schemas.agentsListInput, { capability: "" }, "capability"],
  [schemas.agentsListInput, { status: "asleep" }, "status"],
  [schemas.agentsListInput, { profile: "" }, "profile"],
  [schemas.sendInput, { ...message, source: "no spaces" }, "source"],
  [schemas.sendInput, { ...message, target: "bob", capability: "review" }, "capability"],
  [schemas.sendInput, { ...message, capability: "" }, "capability"],
  [schemas.sendInput, { ...message, capability: "review\nplan" }, "capability"],
  [schemas.sendInput, { ...message, capability: [] }, "capability"],
  [schemas.sendInput, { ...message, capability: Array(21).fill("review") }, "capability"],
  [schemas.sendInput, { ...message, correlation_id: "a\ud800" }, "correlation_id"],
  [schemas.sendInput, { ...message, idempotency_key: "\udfff" }, "idempotency_key"],
  [schemas.requestInput, { ...message, target: "bob", correlation_id: "\ud800" }, "correlation_id"],
  [schemas.sendInput, { ...message, correlation_id: "" }, "correlation_id"],
  [schemas.sendInput, { ...message, correlation_id: long(256) }, "correlation_id"],
  [schemas.sendInput, { ...message, reply_to: "no spaces" }, "reply_to"],
  [schemas.sendInput, { ...message, ttl_ms: 0 }, "ttl_ms"],
  [schemas.sendInput, { ...message, ttl_ms: limits.ttlMsMax + 1 }, "ttl_ms"],
  [schemas.sendInput, { ...message, hops: -1 }, "hops"],
  [schemas.sendInput, { ...message, hops: 1_000_001 }, "hops"],
  [schemas.sendInput, { ...message, idempotency_key: long(256) }, "idempotency_key"],
  [schemas.requestInput, message, "target"],
  [schemas.requestInput, { ...message, target: "bob", capability: "review" }, "capability"],
  [schemas.requestInput, { ...message, target: "bob", timeout_ms: 0 }, "timeout_ms"],
  [schemas.requestInput, { ...message, target: "bob", timeout_ms: limits.requestMsMax + 1 }, "timeout_ms"],
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
  [schemas.historyInput, { target: "*" }, "target"],
  [schemas.historyInput, { event_type: "a*b" }, "event_type"],
  [schemas.historyInput, { event_type: "**" }, "event_type"],
  [schemas.historyInput, { correlation_id: long(256) }, "correlation_id"],
  [schemas.inboxInput, { ...inbox, mode: "both" }, "mode"],
  [schemas.inboxInput, { ...inbox, prefetch: 0 }, "prefetch"],
  [schemas.inboxInput, { ...inbox, prefetch: limits.prefetchMax + 1 }, "prefetch"],
  [schemas.inboxInput, { ...inbox, lastEventId: "oldest" }, "lastEventId"],
  [schemas.ackInput, inbox, "ids"],
  [schemas.ackInput, { ...inbox, ids: [] }, "ids"],
  [schemas.ackInput, { ...inbox, ids: Array(501).fill(messageId) }, "ids"],
  [schemas.ackInput, { ...inbox, ids: [messageId, "the second"] }, "ids.1"],
  [schemas.redriveInput, { ...inbox, ids: ["the first"] }, "ids.0"],
  [schemas.redriveInput, { ...inbox, ids: Array(501).fill(messageId) }, "ids"],
  [schemas.deadLettersInput, { limit: 1 }, "agent_id"],
  [schemas.stateRef, { ...state, namespace: "a/b" }, "namespace"],
  [schemas.stateRef, { ...state, namespace: long(129) }, "namespace"],
  [schemas.stateRef, { ...state, key: "" }, "key"],
  [schemas.stateRef, { ...state, key: long(513) }, "key"],
  [schemas.stateRef, { ...state, key: "." }, "key"],
  [schemas.stateRef, { ...state, key: ".." }, "key"],
  [schemas.stateRef, { ...state, key: "a\u0000b" }, "key"],
  [schemas.stateRef, { ...state, key: "\ud800" }, "key"],
  [schemas.stateSetInput, state, "value"],
  [schemas.stateSetInput, { ...state, value: jsonOf(limits.payloadBytes + 1) }, "value"],
  [schemas.stateSetInput, { ...state, value: { constructor: 1 } }, "value.constructor"],
  [schemas.stateSetInput, { ...state, value: 1, if_version: -1 }, "if_version"],
  [schemas.stateSetInput, { ...state, value: 1, ttl_ms: limits.ttlMsMax + 1 }, "ttl_ms"],
  [schemas.stateSetInput, { ...state, value: 1, source: "no spaces" }, "source"],
  [schemas.stateDeleteInput, { ...state, if_version: 0 }, "if_version"],
  [schemas.stateListInput, { namespace: "plans", prefix: long(513) }, "prefix"],
  [schemas.profileRef, { name: "../secrets" }, "name"],
  [schemas.profileRef, { name: long(129) }, "name"],
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
  [schemas.sendInput, { ...message, target: "bob", ttl_ms: limits.ttlMsMax, hops: 1_000_000 }],
  [schemas.sendInput, { ...message, capability: "review" }],
  [schemas.sendInput, { ...message, capability: Array(20).fill(long(100)) }],
  [schemas.requestInput, { ...message, capability: ["review"], timeout_ms: limits.requestMsMax }],
  [schemas.historyInput, { event_type: "*" }],
  [schemas.historyInput, { event_type: "HELLO*", source: "alice", target: "bob", correlation_id: long(255) }],
  [schemas.inboxInput, { ...inbox, mode: "shared", prefetch: limits.prefetchMax }],
  [schemas.ackInput, { ...inbox, ids: Array(500).fill(messageId) }],
  [schemas.redriveInput, inbox],
  [schemas.stateSetInput, { ...state, value: jsonOf(limits.payloadBytes), if_version: 0 }],
  [schemas.stateSetInput, { namespace: `a${"@".repeat(127)}`, key: "Ω ".repeat(256), value: null }],
  [schemas.stateRef, { ...state, key: "..." }],
  [schemas.stateRef, { ...state, key: "../.." }],
  [schemas.stateDeleteInput, { ...state, if_version: 1 }],
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
  expect(schemas.requestInput.parse({ ...message, target: "bob" }).timeout_ms).toBe(limits.requestMsDefault);
  expect(schemas.inboxInput.parse({ ...inbox, ack: true })).toEqual({
    agent_id: "bob",
    mode: "each",
    prefetch: limits.prefetchDefault,
  });
});

test("capabilities that an agent does not name are not the same as none, since its profile may have some", () => {
  expect(schemas.registerInput.parse({ agent_id: "a" })).toEqual({ agent_id: "a" });
  expect(schemas.registerInput.parse({ agent_id: "a", capabilities: [] })).toEqual({ agent_id: "a", capabilities: [] });
});

test("an image of full size fits into a body", () => {
  expect(JSON.stringify({ ...spawn, images: [{ ...image, data: fullImage }] }).length).toBeLessThan(limits.bodyBytes);
});

test("a full prompt in escaped JSON fits into a body", () => {
  expect(JSON.stringify("\u0001".repeat(limits.promptChars)).length).toBeLessThan(limits.bodyBytes);
});
