import { limits } from "@ksi/contract";
import { expect, test } from "vitest";
import {
  parseInteger,
  parseJson,
  parseJsonObject,
  parseList,
  parseTimeout,
  parseTtl,
  parseUrl,
  parseWait,
} from "./parse.ts";

test.each([
  ["90", 90_000],
  ["0.5", 500],
  ["500ms", 500],
  ["30s", 30_000],
  ["1.5m", 90_000],
  ["1h", 3_600_000],
  ["1h30m", 5_400_000],
])("the duration %s is %d ms", (text, ms) => {
  expect(parseTimeout(text)).toBe(ms);
});

test.each(["", "0", "-1", "5d", "1h 30m", "s", "1e3", "30ss", "0.1ms", "Infinity"])("%j is no duration", (text) => {
  expect(() => parseTimeout(text)).toThrow("Give seconds, or a duration such as");
});

test("a duration is refused only beyond what the daemon takes", () => {
  expect(parseTimeout("24h")).toBe(limits.runTimeoutMsMax);
  for (const text of ["48h", "24h1ms"]) expect(() => parseTimeout(text)).toThrow("24h at the most");
});

test("a time to live may be given in days, and is refused only beyond what the daemon takes", () => {
  expect(["90", "1.5s", "1d12h", "7d"].map(parseTtl)).toEqual([90_000, 1_500, 129_600_000, 604_800_000]);
  expect(parseTtl("365d")).toBe(limits.ttlMsMax);
  expect(() => parseTtl("366d")).toThrow("365d");
  for (const text of ["", "0", "-1s", "1w", "0.1ms"]) expect(() => parseTtl(text)).toThrow("such as 30s");
});

test("a wait for an answer is refused only beyond what the daemon takes", () => {
  expect([parseWait("30"), parseWait("500ms"), parseWait("10m")]).toEqual([30_000, 500, limits.requestMsMax]);
  for (const text of ["601", "10m1ms"]) expect(() => parseWait(text)).toThrow("10m at the most");
});

test("a whole number outside of its bounds is refused with them", () => {
  const parse = parseInteger(0, 100);
  expect([parse("0"), parse("100")]).toEqual([0, 100]);
  for (const text of ["101", "-1", "1.5", "", "0x10"]) expect(() => parse(text)).toThrow("between 0 and 100");
});

test("a list may be written with commas or spaces, and be given in parts", () => {
  expect(parseList("Bash, Edit", parseList("Read,Grep"))).toEqual(["Read", "Grep", "Bash", "Edit"]);
});

test("metadata must be a JSON object", () => {
  expect(parseJsonObject('{"a":[1]}')).toEqual({ a: [1] });
  for (const text of ["[1]", "null", "1", '"a"']) expect(() => parseJsonObject(text)).toThrow("JSON object");
  expect(() => parseJson("{a:1}")).toThrow("not JSON");
});

test("an address may leave out the scheme and end in a slash", () => {
  expect(parseUrl("127.0.0.1:8000")).toBe("http://127.0.0.1:8000");
  expect(parseUrl("https://ksi.example.com/agents/")).toBe("https://ksi.example.com/agents");
  for (const text of ["", "ftp://a", "http://"]) expect(() => parseUrl(text)).toThrow("address");
});
