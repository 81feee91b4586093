import { expect, test } from "vitest";
import {
  formatAge,
  formatCost,
  formatCount,
  formatDuration,
  formatTable,
  formatTokens,
  printable,
  shorten,
} from "./format.ts";

test.each([
  [0, "0 ms"],
  [999.4, "999 ms"],
  [999.5, "1.0 s"],
  [3_210, "3.2 s"],
  [59_949, "59.9 s"],
  [59_950, "1 m 00 s"],
  [125_000, "2 m 05 s"],
  [3_599_600, "1 h 00 m"],
  [3_720_000, "1 h 02 m"],
])("%d ms reads %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test("an age names its largest unit, and a clock that is ahead counts as now", () => {
  const now = Date.parse("2026-01-10T12:00:00.000Z");
  const ages = ["2026-01-10T12:00:05.000Z", "2026-01-10T11:59:48.000Z", "2026-01-10T11:55:00.000Z"];
  expect(ages.map((timestamp) => formatAge(timestamp, now))).toEqual(["now", "12 s", "5 m"]);
  expect(formatAge("2026-01-10T09:00:00.000Z", now)).toBe("3 h");
  expect(formatAge("2026-01-08T09:00:00.000Z", now)).toBe("2 d");
});

test.each([
  [812, "812"],
  [3_449, "3.4k"],
  [9_950, "10k"],
  [120_400, "120k"],
  [999_500, "1.0M"],
])("%d reads %s", (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test("tokens from the provider's cache count as input", () => {
  const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 1_000 };
  expect(formatTokens(usage)).toBe("1.0k in, 5 out");
});

test("a cost shows as many digits as say something", () => {
  expect([0, 0.00001, 0.01234, 1.239].map(formatCost)).toEqual(["$0", "<$0.0001", "$0.0123", "$1.24"]);
});

test("columns are as wide as their widest cell, colours not counted", () => {
  const table = formatTable(["A", "B"], [["\u001b[31mlong\u001b[39m", "x"]]);
  expect(table).toBe("A     B\n\u001b[31mlong\u001b[39m  x");
});

test("text from elsewhere cannot drive the terminal", () => {
  expect(printable("a\u001b]52;c;aGk=\u0007b\r\n\tc\u009b2J")).toBe("a]52;c;aGk=b\n\tc2J");
});

test("a long text is cut on one line", () => {
  expect(shorten("one\n  two three", 9)).toBe("one two …");
  expect(shorten("ab\u{1f600}cd", 4)).toBe("ab…");
});
