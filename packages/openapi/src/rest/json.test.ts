import { expect, test } from "vitest";
import { parseJson, toJson } from "./json.ts";

test("the key __proto__ is dropped at every depth, also in disguise, and nothing else is", () => {
  const texts = ['{"a":[{"__proto__":{"x":1},"b":1}]}', '{"a":[{"\\u005f_pr\\u006Fto__" : {"x":1},"b":1}]}'];
  for (const text of texts) {
    const value = parseJson(text);
    expect(JSON.stringify(value)).toBe('{"a":[{"b":1}]}');
    expect(Reflect.get(Object.assign({}, Reflect.get(Object(value), "a")[0]), "x")).toBeUndefined();
  }
  const harmless = '{"constructor":{"prototype":1},"proto":"__proto__","b":["__proto__: 1"]}';
  expect(JSON.stringify(parseJson(harmless))).toBe(harmless);
});

test("what is no JSON throws", () => {
  for (const text of ["", "{", "{a:1}", "NaN", '{"__proto__":'])
    expect(() => parseJson(text), text).toThrow(SyntaxError);
});

test("dates, bigints, sets and maps have JSON", () => {
  const value = {
    date: new Date(0),
    bigint: 2n ** 64n,
    set: new Set([1, new Date(0)]),
    map: new Map<unknown, unknown>([
      ["a", 1n],
      [2, new Set(["x"])],
      [new Date(0), null],
      ["__proto__", 1],
    ]),
    gone: undefined,
    list: [undefined],
  };
  expect(toJson(value)).toBe(
    '{"date":"1970-01-01T00:00:00.000Z","bigint":"18446744073709551616","set":[1,"1970-01-01T00:00:00.000Z"],' +
      '"map":{"2":["x"],"a":"1","1970-01-01T00:00:00.000Z":null,"__proto__":1},"list":[null]}',
  );
});

test("undefined has no JSON, and null has", () => {
  expect(toJson(undefined)).toBeUndefined();
  expect(toJson(null)).toBe("null");
});

test("what has no JSON throws", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  expect(() => toJson(circle)).toThrow(TypeError);
  expect(() => toJson(new Map([[{}, 1]]))).toThrow("A Map with objects as keys has no JSON.");
});
