import { expect, test } from "vitest";
import { parseQuery } from "./query.ts";

const cases: [string, string, unknown][] = [
  ["nothing", "", {}],
  ["one value", "a=1", { a: "1" }],
  ["a key without a value", "a&b=", { a: "", b: "" }],
  ["a value with an equals sign", "a=b=c", { a: "b=c" }],
  ["a repeated key", "a=1&b=2&a=3", { a: ["1", "3"], b: "2" }],
  ["plus signs and escapes", "a+b=c+d&e=%2B%26%3D%5B%E2%82%AC", { "a b": "c d", e: "+&=[€" }],
  ["brackets", "a[b]=1&a[c][d]=2&a[c][e]=3", { a: { b: "1", c: { d: "2", e: "3" } } }],
  ["escaped brackets", "a%5Bb%5D=1", { a: { b: "1" } }],
  ["empty and numbered brackets", "a[]=1&a[]=2&b[1]=y&b[0]=x", { a: { "": ["1", "2"] }, b: { "0": "x", "1": "y" } }],
  ["a key with a value and brackets", "a=1&a[b]=2", { a: ["1", { b: "2" }] }],
  [
    "brackets that do not pair",
    "a[b=1&[c]=2&d]=3&e[f]g=4&h[[i]]=5",
    { "a[b": "1", "[c]": "2", "d]": "3", "e[f]g": "4", "h[[i]]": "5" },
  ],
  ["empty parts", "&&a=1&", { a: "1" }],
];

test.each(cases)("%s", (_name, text, expected) => {
  expect(parseQuery(text)).toEqual(expected);
});

test.each(["a=%", "a=%zz", "%FF=1", "a=%E2%82"])("an escape that is none is refused: %s", (text) => {
  expect(() => parseQuery(text)).toThrow("A field has a percent sign that starts no valid escape.");
});

test("no key reaches a prototype", () => {
  const fields = parseQuery("__proto__=1&__proto__[x]=2&a[__proto__][x]=3&a[constructor][prototype][x]=4&toString=5");
  expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
  expect(JSON.stringify(fields)).toBe('{"a":{"constructor":{"prototype":{"x":"4"}}},"toString":"5"}');
  expect(Reflect.get({}, "x")).toBeUndefined();
});

test("brackets nest 16 deep and no deeper", () => {
  const nested = (depth: number) => `a${"[b]".repeat(depth)}`;
  expect(Object.keys(parseQuery(`${nested(16)}=1`))).toEqual(["a"]);
  expect(parseQuery(`${nested(17)}=1`)).toEqual({ [nested(17)]: "1" });
  expect(Object.keys(parseQuery(`${nested(100_000)}=1`))).toHaveLength(1);
});

test("a numbered key makes no array of that length", () => {
  expect(parseQuery("a[4294967294]=x")).toEqual({ a: { "4294967294": "x" } });
});
