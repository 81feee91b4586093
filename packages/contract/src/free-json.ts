/** What KSI takes as JSON where a field is the caller's own: payloads, metadata, schemas of outputs. */
import { limits } from "./limits.ts";

export interface JsonProblem {
  /** To the place inside the value; empty for the value as a whole. */
  readonly path: readonly string[];
  readonly message: string;
}

/** superjson, the form of tRPC's answers, carries no such keys: what holds one could be given to no client. */
const refusedKeys = new Set(["__proto__", "constructor", "prototype"]);

export function isRefusedKey(key: string): boolean {
  return refusedKeys.has(key);
}

/**
 * The first thing that keeps a value from being JSON of at most so many bytes, `limits.jsonDepth` levels deep and without
 * keys that cannot travel. It does not recurse, and gives up as soon as a limit is passed: a value that comes from
 * outside may be far larger than what is taken, and one from a program may hold itself.
 */
export function findJsonProblem(root: unknown, maxBytes: number): JsonProblem | undefined {
  const tooLarge = { path: [], message: `must be at most ${maxBytes} bytes of JSON` };
  const places: Place[] = [{ value: root, depth: 0, key: "", parent: undefined }];
  /** Never more than the JSON has. */
  let bytes = 0;
  for (let place = places.pop(); place; place = places.pop()) {
    const { value, depth } = place;
    const lacking = nameOfWhatJsonLacks(value);
    if (lacking) return { path: pathOf(place), message: `must be JSON, which has no ${lacking}` };
    if (isRefusedKey(String(place.key))) return { path: pathOf(place), message: "is a key that no answer could carry" };
    bytes += typeof value === "string" ? value.length + 2 : 1;
    if (isNested(value)) {
      if (depth === limits.jsonDepth) {
        return { path: [], message: `must be nested at most ${limits.jsonDepth} levels deep` };
      }
      const children = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
      bytes += children.length;
      if (bytes > maxBytes) return tooLarge;
      for (const [key, child] of children) places.push({ value: child, depth: depth + 1, key, parent: place });
    }
    if (bytes > maxBytes) return tooLarge;
  }
  return encoder.encode(JSON.stringify(root)).length > maxBytes ? tooLarge : undefined;
}

interface Place {
  readonly value: unknown;
  readonly depth: number;
  readonly key: string | number;
  readonly parent: Place | undefined;
}

const encoder = new TextEncoder();

/** What superjson can carry and JSON cannot. */
function nameOfWhatJsonLacks(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : String(value);
    case "object":
      return value === null || Array.isArray(value) || isPlain(value) ? undefined : kindOf(value);
    default:
      return typeof value;
  }
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `Date`, `Map`, … */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** An error is not to repeat what was too long to be taken. */
const maxSteps = 20;
const maxKeyChars = 64;

function pathOf(place: Place): string[] {
  const path: string[] = [];
  for (let at = place; at.parent; at = at.parent) path.unshift(shorten(String(at.key)));
  return path.length > maxSteps ? [...path.slice(0, maxSteps), "…"] : path;
}

function shorten(key: string): string {
  return key.length > maxKeyChars ? `${key.slice(0, maxKeyChars)}…` : key;
}
