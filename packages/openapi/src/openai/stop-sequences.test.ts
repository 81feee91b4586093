import fc from "fast-check";
import { expect, test } from "vitest";
import { createStopCutter } from "./stop-sequences.ts";

/** Few letters and short pieces, so that sequences overlap each other and span pieces. */
const letter = fc.constantFrom("a", "b");
const piece = fc.string({ unit: letter, maxLength: 3 });
const stops = fc.array(fc.string({ unit: letter, minLength: 1, maxLength: 6 }), { maxLength: 4 });

test("a text in any pieces is cut as the whole text is: before the first sequence", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), stops, (pieces, sequences) => {
      const whole = pieces.join("");
      const found = sequences.map((stop) => whole.indexOf(stop)).filter((index) => index !== -1);
      const cutter = createStopCutter(sequences);

      const shown = pieces.map((piece) => cutter.push(piece)).join("") + cutter.flush();

      expect(shown).toBe(found.length > 0 ? whole.slice(0, Math.min(...found)) : whole);
      expect(cutter.isCut).toBe(found.length > 0);
    }),
    { numRuns: 2_000 },
  );
});

test("only what may be the start of a sequence is held back", () => {
  const cutter = createStopCutter(["END", "\n\n"]);
  expect(cutter.push("one E")).toBe("one ");
  expect(cutter.push("N")).toBe("");
  expect(cutter.push("D")).toBe("");
  expect(cutter.isCut).toBe(true);
  expect(cutter.push("more")).toBe("");

  const other = createStopCutter(["END", "\n\n"]);
  expect(other.push("one EN")).toBe("one ");
  expect(other.push("OUGH\n")).toBe("ENOUGH");
  expect(other.flush()).toBe("\n");
  expect(other.isCut).toBe(false);
});

test("a sequence that began earlier comes before one that is complete sooner", () => {
  const cutter = createStopCutter(["abcd", "bc"]);
  expect(cutter.push("xabc") + cutter.push("d!") + cutter.flush()).toBe("x");
});
