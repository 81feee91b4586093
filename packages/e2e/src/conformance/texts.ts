/** Texts that a schema takes: ordinary ones, the longest and shortest, and those on which programs have stumbled. */
import fc from "fast-check";
import type { Schema } from "./api-document.ts";

export function textsOf(schema: Schema): fc.Arbitrary<string> {
  const { pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  const fits = (text: string) => {
    const { length } = [...text];
    return length >= minLength && length <= maxLength;
  };
  if (pattern !== undefined) {
    const wanted = new RegExp(pattern, "u");
    // fast-check draws none for classes of Unicode.
    const drawn = pattern.includes("\\p{") ? textsOf({ minLength, maxLength }) : matching(wanted);
    return drawn.filter((text) => fits(text) && wanted.test(text));
  }
  const max = Math.min(maxLength, 1_000_000);
  const edges = ["x".repeat(minLength), "x".repeat(max), "🙂".repeat(Math.floor(max * 0.6))];
  return fc.oneof(
    { weight: 12, arbitrary: fc.string({ unit: "binary", maxLength: Math.min(max, 40) }).filter(fits) },
    { weight: 12, arbitrary: fc.string({ unit: "grapheme", maxLength: Math.min(max, 40) }).filter(fits) },
    { weight: 6, arbitrary: fc.constantFrom(...oddTexts.filter(fits), "x".repeat(minLength || 1)) },
    // A text of a megabyte is not for every request.
    { weight: max > 10_000 ? 1 : 4, arbitrary: fc.constantFrom(...(maxLength === max ? edges.filter(fits) : ["x"])) },
  );
}

/** Short ones, and some that are long. */
function matching(pattern: RegExp): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(pattern, { size: "small" }) },
    { weight: 1, arbitrary: fc.stringMatching(pattern, { size: "medium" }) },
  );
}

/** A surrogate without its other half is among them: JSON can carry it, UTF-8 cannot. */
const oddTexts = [
  ...["", " ", "0", "-1", "null", "true", "undefined", "NaN", "[object Object]", "__proto__", "constructor"],
  ...["toString", "../../etc/passwd", "%00", "%", "a\u0000b", "\ud800", "\ufeffx", "\r\n", "\u2028", "’", "日本語"],
  ...["'; DROP TABLE runs; --", "{{7*7}}", "$(id)", "`id`", "--help", "#", "*", "a,b", "a&b=c", "a+b"],
];
