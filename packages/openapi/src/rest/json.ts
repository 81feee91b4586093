/** JSON text to values and back. */

/**
 * Throws a `SyntaxError` where `text` is no JSON. The key `__proto__` is dropped at every depth: a procedure that copies
 * its input with `Object.assign` would set a prototype with it.
 */
export function parseJson(text: string): unknown {
  return protoKey.test(text) ? JSON.parse(text, withoutProto) : JSON.parse(text);
}

/** Finds the key also where letters of it are escaped. */
const protoKey = new RegExp(`"${[..."__proto__"].map(orEscaped).join("")}"\\s*:`, "i");

function orEscaped(letter: string): string {
  return `(?:${letter}|\\\\u00${letter.charCodeAt(0).toString(16)})`;
}

function withoutProto(key: string, value: unknown): unknown {
  return key === "__proto__" ? undefined : value;
}

/**
 * What a REST answer holds: a `Date` as ISO 8601, a bigint as text, a `Set` as an array, a `Map` as an object. `undefined` as
 * JSON has it: left out of objects, `null` in arrays, and no text at all by itself. Throws a `TypeError` for a `Map` whose
 * keys are objects, and for what refers to itself.
 */
export function toJson(value: unknown): string | undefined {
  return JSON.stringify(value, plain);
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Set) return [...value];
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [nameOf(key), item]));
  return value;
}

function nameOf(key: unknown): string {
  if (key instanceof Date) return key.toISOString();
  if (typeof key === "object" && key !== null) throw new TypeError("A Map with objects as keys has no JSON.");
  return String(key);
}
