import { describe, expect, test } from "vitest";
import { z } from "zod";
import * as mini from "zod/mini";
import { decode } from "./decode.ts";

/** As TypeScript writes an `enum`. */
const Level = { Low: 0, High: 1, 0: "Low", 1: "High" } as const;

type Tree = { at: Date; kids: Tree[] };
const tree: z.ZodType<Tree> = z.lazy(() => z.object({ at: z.date(), kids: z.array(tree) }));
const shape = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("circle"), radius: z.number() }),
  z.object({ kind: z.literal("square"), side: z.number(), at: z.date().optional() }),
  z.object({ kind: z.literal(3), side: z.bigint() }),
]);
const day = new Date("2026-02-28T00:00:00.000Z");

const asIs = Symbol("left as it is");

describe("from text", () => {
  const cases: [string, z.core.$ZodType, unknown, unknown][] = [
    ["a number", z.number(), "-1.5e3", -1500],
    ["an int", z.int(), "7", 7],
    ["a number with checks it fails", z.number().max(5), "9", 9],
    ["an empty text is no number", z.number(), "", asIs],
    ["a blank is no number", z.number(), " 1", asIs],
    ["hexadecimal is no number", z.number(), "0x10", asIs],
    ["a leading zero is no number", z.number(), "007", asIs],
    ["infinity is no number", z.number(), "Infinity", asIs],
    ["too large a number", z.number(), "1e999", asIs],
    ["a word is no number", z.number(), "many", asIs],
    ["true", z.boolean(), "true", true],
    ["false", z.boolean(), "false", false],
    ["1 is no boolean", z.boolean(), "1", asIs],
    ["TRUE is no boolean", z.boolean(), "TRUE", asIs],
    ["false is false where a coercion would say true", z.coerce.boolean(), "false", false],
    ["a stringbool reads its own text", z.stringbool(), "yes", asIs],
    ["a bigint", z.bigint(), "-18446744073709551616", -18446744073709551616n],
    ["a fraction is no bigint", z.bigint(), "1.5", asIs],
    ["a bigint of more digits than anybody means", z.bigint(), "1".repeat(1001), asIs],
    ["a day", z.date(), "2026-02-28", day],
    ["a time with an offset", z.date(), "2026-02-28T01:30:00.000+01:30", day],
    ["a time without an offset is nowhere in particular", z.date(), "2026-02-28T00:00:00", asIs],
    ["30 February", z.date(), "2026-02-30", asIs],
    ["a number is no date", z.date(), "1", asIs],
    ["a string is a string, whatever it looks like", z.string(), "5", asIs],
    ["a number in a string format", z.iso.date(), "2026-02-28", asIs],
    ["null", z.null(), "null", null],
    ["NaN", z.nan(), "NaN", Number.NaN],
    ["a literal number", z.literal(3), "3", 3],
    ["a literal boolean", z.literal(false), "false", false],
    ["a literal null", z.literal([null, "a"]), "null", null],
    ["a literal bigint", z.literal(3n), "3", 3n],
    ["a literal string before a number that prints the same", z.literal([3, "3"]), "3", "3"],
    ["no literal", z.literal(3), "4", asIs],
    ["an enum", z.enum(["a", "b"]), "b", "b"],
    ["a numeric enum", z.enum(Level), "1", Level.High],
    ["no name of a numeric enum", z.enum(Level), "High", asIs],
    ["a template literal", z.templateLiteral([z.number(), "px"]), "3px", "3px"],
    ["an array", z.array(z.number()), ["1", "2"], [1, 2]],
    ["one value where an array is wanted", z.array(z.number()), "1", [1]],
    ["an array with empty brackets", z.array(z.number()), { "": ["1", "2"] }, [1, 2]],
    ["an array with numbers in its brackets", z.array(z.number()), { "0": "5", "1": "6" }, [5, 6]],
    ["an array of objects", z.array(z.object({ n: z.number() })), { "0": { n: "5" } }, [{ n: 5 }]],
    ["an array of objects as JSON", z.array(z.object({ n: z.number() })), ['{"n":5}', '{"n":6}'], [{ n: 5 }, { n: 6 }]],
    ["other keys make no array", z.array(z.number()), { a: "1" }, asIs],
    ["an item that does not fit", z.array(z.number()), ["1", "x"], [1, "x"]],
    ["a scalar that is there twice", z.number(), ["1", "2"], asIs],
    ["a set", z.set(z.number()), ["1", "2", "1"], new Set([1, 2])],
    ["a set of one", z.set(z.boolean()), "true", new Set([true])],
    ["a tuple", z.tuple([z.number(), z.string(), z.boolean()]), ["1", "2", "true"], [1, "2", true]],
    ["a tuple with a rest", z.tuple([z.string()], z.number()), ["1", "2", "3"], ["1", 2, 3]],
    ["too long a tuple", z.tuple([z.number()]), ["1", "2"], [1, "2"]],
    ["an object", z.object({ n: z.number(), s: z.string() }), { n: "1", s: "1", o: "1" }, { n: 1, s: "1", o: "1" }],
    ["an object as JSON", z.object({ n: z.number(), at: z.date() }), '{"n":1,"at":"2026-02-28"}', { n: 1, at: day }],
    ["numbers that are text in JSON", z.object({ n: z.number() }), '{"n":"1"}', { n: "1" }],
    ["broken JSON", z.object({ n: z.number() }), '{"n":', asIs],
    ["a catchall", z.object({ a: z.string() }).catchall(z.number()), { a: "1", b: "2" }, { a: "1", b: 2 }],
    ["a strict object", z.strictObject({ a: z.number() }), { a: "1", b: "2" }, { a: 1, b: "2" }],
    ["a record", z.record(z.string(), z.number()), { a: "1", b: "x" }, { a: 1, b: "x" }],
    ["a map", z.map(z.number(), z.boolean()), { "1": "true" }, new Map([[1, true]])],
    ["a union takes the first that fits", z.union([z.number(), z.string()]), "1", 1],
    ["a union of a string first is a string", z.union([z.string(), z.number()]), "1", "1"],
    ["a union with a check", z.union([z.number().max(5), z.literal("9")]), "9", "9"],
    ["a union that nothing fits", z.union([z.number(), z.boolean()]), "x", asIs],
    ["a union of one or many", z.union([z.number(), z.array(z.number())]), ["1", "2"], [1, 2]],
    ["a discriminated union", shape, { kind: "square", side: "2" }, { kind: "square", side: 2 }],
    [
      "the option that was meant",
      shape,
      { kind: "square", side: "x", at: "2026-02-28" },
      { kind: "square", side: "x", at: day },
    ],
    ["a discriminator that is decoded itself", shape, { kind: "3", side: "2" }, { kind: 3, side: 2n }],
    ["no option", shape, { kind: "oval", side: "2" }, asIs],
    [
      "a discriminated union as JSON",
      shape,
      '{"kind":"square","side":2,"at":"2026-02-28"}',
      { kind: "square", side: 2, at: day },
    ],
    ["an optional", z.number().optional(), "1", 1],
    ["a default", z.number().default(5), "1", 1],
    ["a prefault", z.number().prefault(5), "1", 1],
    ["a catch", z.number().catch(5), "x", asIs],
    ["a readonly", z.array(z.number()).readonly(), "1", [1]],
    ["a nonoptional", z.nonoptional(z.number().optional()), "1", 1],
    ["a brand", z.number().brand("id"), "1", 1],
    ["a nullable number", z.number().nullable(), "null", null],
    ["a nullable string called null", z.string().nullable(), "null", "null"],
    ["a nullish number", z.number().nullish(), "1", 1],
    ["a transform takes its input side", z.number().transform(String), "1", 1],
    ["a pipe takes its input side", z.string().pipe(z.coerce.number()), "1", "1"],
    [
      "a codec takes its input side",
      z.codec(z.iso.date(), z.date(), { decode: (text) => new Date(text), encode: String }),
      "2026-02-28",
      "2026-02-28",
    ],
    [
      "a preprocess that can do it itself",
      z.preprocess((v) => String(v).split(","), z.array(z.string())),
      "a,b",
      "a,b",
    ],
    ["a preprocess that cannot", z.preprocess((v) => v, z.number()), "1", 1],
    [
      "an intersection",
      z.object({ a: z.number() }).and(z.object({ b: z.date() })),
      { a: "1", b: "2026-02-28" },
      { a: 1, b: day },
    ],
    ["a lazy", z.lazy(() => z.number()), "1", 1],
    [
      "a recursive schema",
      tree,
      { at: "2026-02-28", kids: { "0": { at: "2026-02-28", kids: {} } } },
      { at: day, kids: [{ at: day, kids: [] }] },
    ],
    ["any JSON is text first", z.json(), "1", "1"],
    ["any JSON in brackets", z.json(), { a: { b: "1" } }, { a: { b: "1" } }],
    ["unknown", z.unknown(), ["1", "2"], asIs],
    ["a custom type", z.custom((value) => value === "1"), "1", "1"],
    ["zod mini", mini.object({ n: mini.optional(mini.number()) }), { n: "1" }, { n: 1 }],
  ];

  test.each(cases)("%s", (_name, schema, value, expected) => {
    expect(decode(schema, value, "text")).toStrictEqual(expected === asIs ? value : expected);
  });
});

describe("from JSON", () => {
  const cases: [string, z.core.$ZodType, unknown, unknown][] = [
    ["a number stays text", z.number(), "1", asIs],
    ["a boolean stays text", z.boolean(), "true", asIs],
    ["null stays text", z.number().nullable(), "null", asIs],
    ["one value makes no array", z.array(z.number()), 1, asIs],
    ["an object stays text", z.object({ at: z.date() }), '{"at":"2026-02-28"}', asIs],
    ["a date", z.date(), "2026-02-28", day],
    ["a date that is none", z.date(), "yesterday", asIs],
    ["a bigint of digits", z.bigint(), "5", 5n],
    ["a bigint of a number", z.bigint(), 5, 5n],
    ["no bigint of a number that has lost its last digits", z.bigint(), 2 ** 53, asIs],
    ["a set", z.set(z.date()), ["2026-02-28"], new Set([day])],
    ["no set", z.set(z.date()), { a: 1 }, asIs],
    ["a map of an object", z.map(z.bigint(), z.date()), { "1": "2026-02-28" }, new Map([[1n, day]])],
    ["a map of pairs", z.map(z.number(), z.set(z.number())), [[1, [2]]], new Map([[1, new Set([2])]])],
    ["no map", z.map(z.string(), z.number()), [["a"]], asIs],
    [
      "deep within",
      z.object({ a: z.array(z.record(z.string(), z.tuple([z.date()]))) }),
      { a: [{ b: ["2026-02-28"] }] },
      { a: [{ b: [day] }] },
    ],
    ["a union", z.union([z.object({ at: z.date() }), z.string()]), { at: "2026-02-28" }, { at: day }],
    ["a union with text first", z.union([z.string(), z.date()]), "2026-02-28", asIs],
    [
      "a discriminated union",
      shape,
      { kind: "square", side: 1, at: "2026-02-28" },
      { kind: "square", side: 1, at: day },
    ],
    [
      "an intersection",
      z.object({ a: z.date() }).and(z.object({ b: z.bigint() })),
      { a: "2026-02-28", b: 1 },
      { a: day, b: 1n },
    ],
    [
      "both sides of a field",
      z.object({ a: z.object({ b: z.date() }) }).and(z.object({ a: z.object({ c: z.date() }) })),
      { a: { b: "2026-02-28", c: "2026-02-28" } },
      { a: { b: day, c: day } },
    ],
    ["a nullable", z.date().nullish(), null, null],
    [
      "a codec",
      z.codec(z.iso.date(), z.date(), { decode: (text) => new Date(text), encode: String }),
      "2026-02-28",
      "2026-02-28",
    ],
    ["a preprocess", z.preprocess((value) => value, z.date()), "2026-02-28", day],
  ];

  test.each(cases)("%s", (_name, schema, value, expected) => {
    expect(decode(schema, value, "json")).toStrictEqual(expected === asIs ? value : expected);
  });

  test("what needs no reviving is the very value that was given", () => {
    const value = { a: [{ b: 1 }] };
    expect(decode(z.object({ a: z.json() }), value, "json")).toBe(value);
    expect(decode(z.object({ a: z.json(), at: z.date().optional() }), value, "json")).toHaveProperty("a", value.a);
  });
});

test("neither the value nor the schema is changed", () => {
  const schema = z.object({ n: z.number(), list: z.array(z.date()), u: z.union([z.boolean(), z.number()]) });
  const value = { n: "1", list: ["2026-02-28"], u: "true" };
  const before = structuredClone(value);
  decode(schema, value, "text");
  expect(value).toEqual(before);
  expect(schema.safeParse(value).success).toBe(false);
  expect(schema.shape.n.safeParse("1").success).toBe(false);
});

test("no key reaches a prototype", () => {
  const schema = z.object({ a: z.record(z.string(), z.number()) }).catchall(z.number());
  const decoded = decode(schema, JSON.parse('{"a":{"__proto__":"1"},"constructor":"2","toString":"3"}'), "text");
  expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
  expect(decoded).toHaveProperty("constructor", 2);
  expect(decoded).toHaveProperty("toString", 3);
  expect(Object.getPrototypeOf(Reflect.get(Object(decoded), "a"))).toBe(Object.prototype);
});

test("a check that is asynchronous, or throws, does not hinder decoding", () => {
  const checks = [async () => true, () => Promise.reject(new Error("never unhandled")), () => JSON.parse("{")];
  for (const check of checks) {
    const schema = z.union([z.number().refine(check), z.string()]);
    expect(decode(schema, "1", "text")).toBe(1);
    expect(decode(schema, "x", "text")).toBe("x");
  }
});

test("functions that make defaults are not called", () => {
  let called = 0;
  const schema = z.object({
    a: z.date().default(() => new Date(called++)),
    b: z.string().default(() => String(called++)),
  });
  decode(schema, { a: "2026-02-28" }, "json");
  decode(schema, { a: "2026-02-28" }, "text");
  expect(called).toBe(0);
});

test("unions within unions cost what zod itself takes for them, and not that for each of them", () => {
  const options = (inner: z.ZodType) =>
    ["a", "b", "c"].map((kind) => z.object({ inner, at: z.date(), kind: z.literal(kind) }));
  let walks = 0;
  let schema: z.ZodType = z.object({ at: z.date().refine(() => ++walks > 0) });
  let value: unknown = { at: "2026-02-28" };
  for (let depth = 0; depth < 9; depth++) {
    schema = z.union(options(schema));
    value = { kind: "c", at: "2026-02-28", inner: value };
  }
  const decoded = decode(schema, value, "json");
  const decoding = walks;
  expect(schema.safeParse(decoded).success).toBe(true);
  expect(decoding).toBeLessThan(2 * (walks - decoding));
});

test("a value that is nested without end neither fills the stack nor takes long", () => {
  type Nested = { at?: Date | undefined; in: Nested } | Date;
  const nested: z.ZodType<Nested> = z.lazy(() =>
    z.union([z.object({ at: z.date().optional(), in: nested }), z.date()]),
  );
  let value: unknown = "2026-02-28";
  for (let depth = 0; depth < 100_000; depth++) value = { in: value };
  const startedAt = performance.now();
  decode(nested, value, "json");
  decode(z.json(), value, "json");
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});
