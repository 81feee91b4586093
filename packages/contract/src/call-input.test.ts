import fc from "fast-check";
import superjson from "superjson";
import { expect, test } from "vitest";
import { readCallInput, refuseUnreadable } from "./call-input.ts";
import { KsiError } from "./errors.ts";

/** As it arrives: the sender's superjson, over JSON. */
const wireOf = (value: unknown) => JSON.parse(JSON.stringify(superjson.serialize(value))) as unknown;

/** What the call is answered with; undefined if the input can be read. */
function refusal(wire: unknown): KsiError | undefined {
  try {
    refuseUnreadable(readCallInput(wire));
    return undefined;
  } catch (error) {
    return KsiError.from(error);
  }
}

test("whatever superjson sends of the kinds that are taken is read as it was", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.info(`seed ${seed}`);
  const key = fc.string().filter((text) => !["__proto__", "constructor", "prototype"].includes(text));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.jsonValue().filter(hasNoSuchKeys),
      fc.constantFrom(undefined, Number.NaN, -0, Number.POSITIVE_INFINITY, new URL("http://127.0.0.1/a?b")),
      fc.bigInt(),
      fc.date({ noInvalidDate: true }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
      fc.array(tie("value"), { maxLength: 4 }).map((members) => new Set(members)),
      fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  }));
  fc.assert(
    fc.property(value, (sent) => {
      const shared = { "a.b\\c": [sent, sent], again: sent };
      expect(readCallInput(wireOf(shared))).toEqual(shared);
    }),
    { seed, numRuns: 500 },
  );
});

const laughs = {
  json: Object.fromEntries(Array.from({ length: 40 }, (_, level) => [`l${level}`, { a: 1, b: 1 }])),
  meta: {
    v: 1,
    referentialEqualities: Object.fromEntries(
      Array.from({ length: 39 }, (_, level) => [`l${level}`, [`l${level + 1}.a`, `l${level + 1}.b`]]),
    ),
  },
};

test("an object that is said to be in itself over and over stays as large as it was sent", () => {
  expect(readCallInput(laughs)).toEqual(laughs.json);
});

test("the same object twice is the same value twice, and one that was left out as a repeat or a loop is refused", () => {
  const same = { n: 1 };
  expect(readCallInput(wireOf({ a: same, list: [same] }))).toEqual({ a: same, list: [same] });
  const loop: Record<string, unknown> = { name: "loop" };
  loop.self = { loop };
  const withoutRepeats = new superjson({ dedupe: true });
  for (const wire of [wireOf({ payload: loop }), wireOf(loop), withoutRepeats.serialize({ a: same, payload: same })]) {
    expect(refusal(wire)).toMatchObject({
      code: "INVALID_INPUT",
      details: { issues: [{ path: expect.any(String), message: expect.stringContaining("holds itself") }] },
    });
  }
});

const members = Array.from({ length: 200_000 }, (_, index) => index);
const deepTree = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}["Date"]${"}".repeat(levels)}`) as unknown;
const values = (tree: unknown, json: unknown = { a: "1" }) => ({ json, meta: { values: tree, v: 1 } });
const equal = (referentialEqualities: unknown, json: unknown = { a: {} }) => ({
  json,
  meta: { referentialEqualities, v: 1 },
});

test.for<[string, unknown, string]>([
  ["no object", "text", '{"json": …}'],
  ["null", null, '{"json": …}'],
  ["a list", [1], '{"json": …}'],
  ["an input without the wrapping", { prompt: "hi" }, '{"json": …}'],
  ["meta that is no object", { json: {}, meta: 1 }, "meta"],
  ["values that are no tree", values("Date"), "tree"],
  ["a path that is not there", values({ b: ["Date"] }), "names b"],
  ["a path through a text", values({ "a.0": ["Date"] }), "names a.0"],
  ["a path to the length of a list", values({ "a.length": ["number"] }, { a: [] }), "names a.length"],
  ["a path through __proto__", values({ "__proto__.polluted": ["number"] }), "names __proto__.polluted"],
  ["a path through constructor", values({ "a.constructor.prototype.polluted": ["number"] }), "names a.constructor"],
  ["a path to a __proto__ that was sent", values({ x: ["set"], "__proto__.a": ["Date"] }, proto({ a: 1 })), "names"],
  ["a set into which a path goes", values({ a: ["set"], "a.1": ["Date"] }, { a: members }), "names a.1"],
  ["a map of what are no pairs", values({ a: ["map"] }, { a: [1, 2] }), "holds no map"],
  ["a bigint that is none", values({ a: ["bigint"] }, { a: "ten" }), "holds no bigint"],
  ["a deep tree", values(deepTree(100_000)), "nested too deep"],
  ["a path of very many steps", values({ ["a.".repeat(100_000)]: { a: ["Date"] } }), "nested too deep"],
  ["very many values", values(Object.fromEntries(members.map((n) => [n, ["Date"]])), members), "more than 1000"],
  ["equal paths that are no lists", equal({ a: "a" }), "no lists"],
  ["equal paths that are not there", equal({ a: ["nowhere"] }), "names nowhere"],
  ["equal paths through __proto__", equal({ a: ["__proto__.polluted"] }), "names __proto__"],
  ["equal paths of the root through __proto__", equal([["__proto__.polluted"]]), "names __proto__"],
])("%s is MALFORMED_REQUEST and says so", ([_what, wire, words]) => {
  const startedAt = performance.now();
  const error = refusal(wire);
  expect(error).toMatchObject({ code: "MALFORMED_REQUEST", message: expect.stringContaining(words) });
  expect(error?.message.length).toBeLessThan(400);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect("polluted" in {}).toBe(false);
});

test.for<[string, unknown, string]>([
  ["a regular expression", wireOf({ payload: { at: /x/ } }), "regexp"],
  ["an error", wireOf({ payload: { at: new Error("x") } }), "Error"],
  ["bytes", wireOf({ payload: { at: new Uint8Array(2) } }), "typed-array Uint8Array"],
  [
    "bytes of which there would be 8 GB",
    values({ payload: { at: [["typed-array", "Float64Array"]] } }, big()),
    "typed-",
  ],
  ["a class", values({ payload: { at: [["class", "Object"]] } }, big()), "class Object"],
  ["what is called like a function of all objects", values({ payload: { at: ["toString"] } }, big()), "toString"],
  ["what is called __proto__", values({ payload: { at: ["__proto__"] } }, big()), "__proto__"],
  ["a bigint of a million digits", wireOf({ payload: { at: 10n ** 1_000_000n } }), "bigint"],
])("%s is INVALID_INPUT and names the field", ([_what, wire, kind]) => {
  expect(refusal(wire)).toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringMatching(/^payload\.at: /),
    details: { issues: [{ path: "payload.at", message: expect.stringContaining(kind) }] },
  });
});

function big() {
  return { payload: { at: 1_000_000_000 } };
}

/** An object with a key of its own that is called `__proto__`, as JSON can have it. */
function proto(value: object): unknown {
  return JSON.parse(`{"x":[],"__proto__":${JSON.stringify(value)}}`);
}

function hasNoSuchKeys(value: unknown): boolean {
  return !/"(?:__proto__|constructor|prototype)":/.test(JSON.stringify(value));
}
