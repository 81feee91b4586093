import { expect, test } from "vitest";
import { formatList } from "./list.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

const list = {
  headings: ["NAME", "CAN", "WHAT"],
  rows: [
    ["bob", "sing,dance,paint,write", "Does all that there is to do\nin a house."],
    ["eve", "sing", "-"],
  ],
  cut: ["CAN", "WHAT"],
};

function print(isTty: boolean, columns?: number): string[] {
  const { out } = createRecordedTerminal({ out: isTty, err: isTty });
  return formatList(list, { ...out, columns }).split("\n");
}

test("a terminal that is wide enough gets headings and all of each thing, on one line", () => {
  for (const columns of [80, 0, undefined]) {
    expect(print(true, columns)).toEqual([
      "NAME  CAN                     WHAT",
      "bob   sing,dance,paint,write  Does all that there is to do in a house.",
      "eve   sing                    -",
    ]);
  }
});

test("on a narrower terminal what may be cut shares the room, and what fits in its share is whole", () => {
  expect(print(true, 60)).toEqual([
    "NAME  CAN                     WHAT",
    "bob   sing,dance,paint,write  Does all that there is to do …",
    "eve   sing                    -",
  ]);
  expect(print(true, 42)).toEqual([
    "NAME  CAN                WHAT",
    "bob   sing,dance,paint…  Does all that th…",
    "eve   sing               -",
  ]);
  expect(print(true, 10)[1]).toBe("bob   sing,dance,…  Does all th…");
});

test("a pipe gets no headings, and all of each thing on one line", () => {
  expect(print(false)).toEqual([
    "bob  sing,dance,paint,write  Does all that there is to do in a house.",
    "eve  sing                    -",
  ]);
});

test("a list may be longer than a call may have arguments", () => {
  const { out } = createRecordedTerminal({ out: true, err: true });
  const rows = Array.from({ length: 200_000 }, (_, i) => [String(i)]);
  expect(formatList({ headings: ["N"], rows }, out).split("\n")).toHaveLength(200_001);
});
