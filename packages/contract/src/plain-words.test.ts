import { expect, test } from "vitest";
import { z } from "zod";
import { issuesOf } from "./plain-words.ts";

const wordings: [words: string, schema: z.ZodType, input: unknown][] = [
  ["is missing", z.string(), undefined],
  ["must be a string", z.string(), null],
  ["must be a string", z.string(), 7],
  ["must be a number", z.number(), "7"],
  ["must be a number", z.number(), Number.NaN],
  ["must be a whole number", z.int(), 0.5],
  ["must be true or false", z.boolean(), "yes"],
  ["must be an array", z.array(z.string()), "a"],
  ["must be an object", z.object({}), []],
  ["must be an object", z.record(z.string(), z.string()), 7],
  ["must be date", z.date(), 7],
  ['must be "a"', z.literal("a"), undefined],
  ['must be one of "a", "b", 7, null', z.literal(["a", "b", 7, null]), "c"],
  ['must be one of "a", "b"', z.enum(["a", "b"]), undefined],
  ["must not be empty", z.string().min(1), ""],
  ["must not be empty", z.array(z.string()).min(1), []],
  ["must have at least 2 characters", z.string().min(2), "a"],
  ["must have at most 2 characters", z.string().max(2), "abc"],
  ["must have exactly 2 characters", z.string().length(2), "abc"],
  ["must have at most 1 item", z.array(z.string()).max(1), ["a", "b"]],
  ["must be at least 1", z.number().min(1), 0],
  ["must be more than 0", z.number().positive(), 0],
  ["must be at most 9", z.number().max(9), 10],
  ["must be less than 0", z.number().negative(), 0],
  ["must be a multiple of 5", z.number().multipleOf(5), 7],
  ["is no valid ISO datetime", z.iso.datetime(), "yesterday"],
  ["is no valid URL", z.url(), "nowhere"],
  ['must start with "x."', z.string().startsWith("x."), "y"],
  ["has what is not known here: b, c", z.strictObject({}), { b: 1, c: 2 }],
  ["is missing", z.union([z.string(), z.number()]), undefined],
  ["is missing", z.json(), undefined],
  ["must be a string or an array", z.union([z.string(), z.array(z.string())]), 7],
  ["has none of the forms that it can have", z.union([z.string(), z.object({ a: z.string() })]), {}],
  [
    'must be one of "a", "b"',
    z.discriminatedUnion("is", [z.object({ is: z.literal("a") }), z.object({ is: z.literal("b") })]),
    {},
  ],
  ["is no valid input", z.string().refine(() => false), "a"],
];

test.for(wordings)("it %s", ([words, schema, input]) => {
  expect(issuesOf(refusal(schema, input)).map(({ message }) => message)).toEqual([words]);
});

test("what a schema says itself is left as it is, also where it is as wrong in kind", () => {
  const schema = z.object({
    a: z.string("has to be text"),
    b: z.string().min(1, "must say something"),
    c: z.enum(["x"], { error: () => "is not what we have" }),
  });
  expect(issuesOf(refusal(schema, { a: 7, b: "", c: "y" }))).toEqual([
    { path: "a", message: "has to be text" },
    { path: "b", message: "must say something" },
    { path: "c", message: "is not what we have" },
  ]);
});

test("in a process that has given zod other words for all, they stay", () => {
  const before = z.config();
  z.config({ customError: () => "ist falsch" });
  try {
    expect(issuesOf(refusal(z.string(), 7))).toEqual([{ path: "", message: "ist falsch" }]);
  } finally {
    z.config({ ...before, customError: undefined });
  }
});

function refusal(schema: z.ZodType, input: unknown): z.ZodError {
  const { error } = schema.safeParse(input);
  if (!error) throw new Error("The input was taken.");
  return error;
}
