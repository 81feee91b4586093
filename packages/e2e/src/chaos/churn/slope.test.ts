import { expect, test } from "vitest";
import { fitLine } from "./slope.ts";

test("the line through values on a line is that line, and through noise around a level it is level", () => {
  expect(fitLine([10, 12, 14, 16])).toEqual({ slope: 2, mean: 13, growth: 6 });
  expect(fitLine([5, 5, 5])).toEqual({ slope: 0, mean: 5, growth: 0 });
  const { growth } = fitLine([10, 13, 10, 13, 10, 13, 10, 13, 10]);
  expect(Math.abs(growth)).toBeLessThan(1e-9);
});
