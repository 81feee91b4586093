import { type Json, limits } from "@ksi/contract";
import { expect, test } from "vitest";
import { fitJson } from "./agent-json.ts";
import { completed } from "./run-endings.ts";
import type { TurnOutcome } from "./runners/runner.ts";

const strange = '{"a":[{"__proto__":{"x":1},"constructor":2,"b":null}],"prototype":3,"c":"constructor"}';
const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as Json;
const outcome = (output: Json): TurnOutcome => ({ result: "said", output, model: "m", raw: {} });

test("keys that no answer could carry are left out at any depth, and it is known that they were", () => {
  expect(fitJson(JSON.parse(strange))).toEqual({
    value: { a: [{ b: null }], c: "constructor" },
    hasLostKeys: true,
    isTooDeep: false,
  });
  const plain = { a: [1, "x", true, null, { b: {} }] };
  expect(fitJson(plain)).toEqual({ value: plain, hasLostKeys: false, isTooDeep: false });
});

test("what is nested as deep as callers may nest is kept, and what is deeper is null", () => {
  expect(fitJson(nested(limits.jsonDepth))).toEqual({
    value: nested(limits.jsonDepth),
    hasLostKeys: false,
    isTooDeep: false,
  });
  const { value, isTooDeep } = fitJson(nested(100_000));
  expect(isTooDeep).toBe(true);
  expect(JSON.stringify(value)).toBe(`${"[".repeat(limits.jsonDepth)}null${"]".repeat(limits.jsonDepth)}`);
});

test("the output of a run is without such keys, and one that is nested too deep is OUTPUT_INVALID", () => {
  expect(completed(outcome(JSON.parse(strange)), 1).fields).toMatchObject({
    result: "said",
    output: { a: [{ b: null }], c: "constructor" },
  });
  expect(() => completed(outcome(nested(limits.jsonDepth + 1)), 1)).toThrow(
    expect.objectContaining({ code: "OUTPUT_INVALID", message: expect.stringContaining("100 levels") }),
  );
});
