/** Single values: from the text of a path, query or form, and from JSON. What does not fit is left as it is. */
import { z } from "zod";

/**
 * The value that `text` stands for where `schema` wants one. Numbers as JSON writes them, `true` and `false`, whole numbers
 * for bigints, ISO 8601 for dates (a day, or a time with its offset), `null`, `NaN`, literals and enum values as they print.
 */
export function decodeText(schema: z.core.$ZodType, text: string): unknown {
  switch (schema._zod.def.type) {
    case "number":
    case "int":
      return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text))
        ? Number(text)
        : text;
    case "boolean":
      return text === "true" || (text === "false" ? false : text);
    case "null":
      return text === "null" ? null : text;
    case "nan":
      return text === "NaN" ? Number.NaN : text;
    case "literal":
    case "enum":
      return oneOf(schema._zod.values ?? new Set(), text);
    default:
      return revive(schema, text);
  }
}

/** What JSON cannot hold: an ISO 8601 text where a `Date` is wanted, digits or a safe whole number where a bigint is. */
export function revive(schema: z.core.$ZodType, value: unknown): unknown {
  switch (schema._zod.def.type) {
    case "date":
      return typeof value === "string" && isIso(value) ? new Date(value) : value;
    case "bigint":
      // Reading digits takes time that grows faster than their number.
      if (typeof value === "string" && /^-?\d{1,1000}$/.test(value)) return BigInt(value);
      return Number.isSafeInteger(value) ? BigInt(Number(value)) : value;
    default:
      return value;
  }
}

/** A string goes before a number or other value that prints the same. */
function oneOf(values: ReadonlySet<z.core.util.Primitive>, text: string): unknown {
  if (values.has(text)) return text;
  for (const value of values) {
    if (value !== undefined && String(value) === text) return value;
  }
  return text;
}

/** `Date` by itself reads almost anything, `1` and 30 February among it. */
function isIso(text: string): boolean {
  return [isoDate, isoTime].some((schema) => schema.safeParse(text).success);
}

const isoDate = z.iso.date();
const isoTime = z.iso.datetime({ offset: true });
