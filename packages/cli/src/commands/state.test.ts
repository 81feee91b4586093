import { expect, test } from "vitest";
import { createRecordedTerminal } from "../testing/recorded-terminal.ts";
import { describeFacts, formatKeys } from "./state.ts";

const now = Date.parse("2026-01-10T12:00:00.000Z");
const kept = { namespace: "n", key: "a b/\u001b[31mc", version: 7, updated_at: "2026-01-10T11:59:48.000Z" };
const short = {
  ...kept,
  key: "d",
  version: 12,
  updated_at: "2026-01-10T12:00:00.000Z",
  expires_at: "2026-01-10T12:05:00.500Z",
};
const format = (isTty: boolean) =>
  formatKeys([kept, short], createRecordedTerminal({ out: isTty, err: isTty }).out, now).split("\n");

test("a terminal gets headings, and keys that cannot drive it", () => {
  expect(format(true)).toEqual([
    "VERSION  SET   STAYS  KEY",
    "7        12 s  -      a b/[31mc",
    "12       now   5 m    d",
  ]);
});

test("in a pipe every line is a key, as it is", () => {
  expect(format(false)).toEqual(["7   12 s  -    a b/\u001b[31mc", "12  now   5 m  d"]);
});

test.each([
  [kept, "version 7, set 12 s ago"],
  [short, "version 12, set just now, kept for 5 m"],
  [{ ...kept, expires_at: "2026-01-10T12:00:00.400Z" }, "version 7, set 12 s ago, kept for 0 s"],
])("of %j one is told: %s", (facts, text) => {
  expect(describeFacts(facts, now)).toBe(text);
});
