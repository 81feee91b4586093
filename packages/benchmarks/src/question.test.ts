import { expect, test } from "vitest";
import { type Goal, isMet } from "./question.ts";

test.each<[Goal, boolean]>([
  [{ of: "ours", is: "≤", value: 10 }, true],
  [{ of: "ours", is: "<", value: 10 }, false],
  [{ of: "ours", is: "≥", value: 10 }, true],
  [{ of: "ours", is: ">", value: 10 }, false],
  [{ of: "ratio", is: "≤", value: 0.25 }, false],
  [{ of: "ratio", is: "≥", value: 0.25 }, true],
])("of 10 beside 20 the goal %o is met: %s", (goal, met) => {
  expect(isMet(goal, { ours: 10, ratio: 0.5 })).toBe(met);
});

test.each(["≤", "<", "≥", ">"] as const)("a ratio %s something is not met where there is no peer", (is) => {
  expect(isMet({ of: "ratio", is, value: 1 }, { ours: 10 })).toBe(false);
});
