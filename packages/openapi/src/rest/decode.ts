/** From what the wire can hold to what a schema takes: reads schemas, never changes one, and validates nothing. */
import { z } from "zod";
import { decodeText, revive } from "./decode-leaf.ts";
import { parseJson } from "./json.ts";
import { needsReviving } from "./needs-reviving.ts";

/** `text`: every value is a string, as in paths, queries and forms. `json`: only what JSON cannot hold is a string. */
export type Source = "text" | "json";

/**
 * A new value in which everything that stands for what `schema` takes has become that; the rest is left as it is, so that
 * the schema says what is wrong with it. From texts also: one value where an array is wanted is an array of one, and JSON
 * text where an object is wanted is that object. Of a union, the first option that takes its decoded value decides.
 */
export function decode(schema: z.core.$ZodType, value: unknown, source: Source): unknown {
  return walk({ schema, value, source, depth: 0, done: new Map() });
}

interface Place {
  readonly schema: z.core.$ZodType;
  readonly value: unknown;
  readonly source: Source;
  readonly depth: number;
  /** Without it, unions within unions would be walked again for every option around them. */
  readonly done: Map<unknown, Map<z.core.$ZodType, unknown>>;
}

/** Far more than any schema that is not recursive, and less than what fills the stack. */
const maxDepth = 256;

function walk(place: Place): unknown {
  const { schema, value, source, depth, done } = place;
  if (value === undefined || depth > maxDepth) return value;
  if (source === "json" && !needsReviving(schema)) return value;
  if (typeof value !== "object") return decodeAt(place);
  const known = done.get(value) ?? new Map<z.core.$ZodType, unknown>();
  if (!known.has(schema)) known.set(schema, decodeAt(place));
  done.set(value, known);
  return known.get(schema);
}

function decodeAt(place: Place): unknown {
  const { schema, value, source } = place;
  // Not the definition's getter, which may make a new schema each time.
  if (schema instanceof z.core.$ZodLazy) return inner(place, schema._zod.innerType);
  if (schema instanceof z.core.$ZodDiscriminatedUnion) return decodeTagged(place, schema._zod.def);
  if (!isBuiltIn(schema)) return value;
  const { def } = schema._zod;
  switch (def.type) {
    case "optional":
    case "nonoptional":
    case "default":
    case "prefault":
    case "catch":
    case "readonly":
    case "success":
    case "promise":
      return inner(place, def.innerType);
    case "nullable":
      return decodeNullable(place, def.innerType);
    case "pipe":
      return def.in instanceof z.core.$ZodTransform ? decodePreprocessed(place, def.out) : inner(place, def.in);
    case "union":
      return decodeUnion(place, def.options);
    case "intersection":
      return merge(value, inner(place, def.left), inner(place, def.right));
    case "object":
      return decodeObject(opened(place), def);
    case "record":
      return decodeFields(opened(place), () => def.valueType);
    case "map":
      return decodeMap(opened(place), def);
    case "set":
      return toSet(decodeItems(place, () => def.valueType));
    case "array":
      return decodeItems(place, () => def.element);
    case "tuple":
      return decodeItems(place, (index) => def.items[index] ?? def.rest);
    default:
      if (source === "json") return revive(schema, value);
      return typeof value === "string" ? decodeText(schema, value) : value;
  }
}

/** Types of somebody else's making have a `type` that no case knows. */
function isBuiltIn(schema: z.core.$ZodType): schema is z.core.$ZodTypes {
  return schema instanceof z.core.$ZodType;
}

function inner(place: Place, schema: z.core.$ZodType, value = place.value, source = place.source): unknown {
  return walk({ ...place, schema, value, source, depth: place.depth + 1 });
}

/** `null` is a text too, where texts are taken. */
function decodeNullable(place: Place, schema: z.core.$ZodType): unknown {
  const decoded = inner(place, schema);
  return place.value === "null" && place.source === "text" && !takes(schema, decoded) ? null : decoded;
}

/** What a preprocess does with the raw value goes first: it may split a text that is an array for the schema behind it. */
function decodePreprocessed(place: Place, out: z.core.$ZodType): unknown {
  return takes(place.schema, place.value) ? place.value : inner(place, out);
}

function decodeUnion(place: Place, options: readonly z.core.$ZodType[]): unknown {
  for (const option of options) {
    const decoded = inner(place, option);
    if (takes(option, decoded)) return decoded;
  }
  return place.value;
}

/** The discriminator alone decides, so that what else is wrong is said about the option that was meant. */
function decodeTagged(place: Place, { options, discriminator }: z.core.$ZodDiscriminatedUnionDef): unknown {
  for (const option of options) {
    const decoded = inner(place, option);
    const tags = option._zod.propValues?.[discriminator] ?? new Set();
    if (isFields(decoded) && [...tags].some((tag) => tag === decoded[discriminator])) return decoded;
  }
  return place.value;
}

function takes(schema: z.core.$ZodType, value: unknown): boolean {
  try {
    // `safeParse` would leave the promise of an asynchronous check to itself, and one that is rejected ends a process.
    const result = schema._zod.run({ value, issues: [] }, { async: true });
    if (!(result instanceof Promise)) return result.issues.length === 0;
    result.catch(() => {});
    return true;
  } catch {
    // Validation will meet it again, and say it.
    return true;
  }
}

function decodeObject(place: Place, { shape, catchall }: z.core.$ZodObjectDef): unknown {
  return decodeFields(place, (name) => (Object.hasOwn(shape, name) ? shape[name] : catchall));
}

function decodeFields(place: Place, schemaOf: (name: string) => z.core.$ZodType | undefined): unknown {
  const { value } = place;
  if (!isFields(value)) return value;
  const entries = Object.entries(value).map(([name, field]) => {
    const schema = schemaOf(name);
    return [name, schema ? inner(place, schema, field) : field];
  });
  return Object.fromEntries(entries);
}

/** From an object, or from an array of pairs. */
function decodeMap(place: Place, { keyType, valueType }: z.core.$ZodMapDef): unknown {
  const { value } = place;
  if (isFields(value)) {
    const entries = Object.entries(value);
    return new Map(
      entries.map(([key, item]) => [inner({ ...place, source: "text" }, keyType, key), inner(place, valueType, item)]),
    );
  }
  if (!Array.isArray(value) || !value.every((pair) => Array.isArray(pair) && pair.length === 2)) return value;
  return new Map(value.map(([key, item]) => [inner(place, keyType, key), inner(place, valueType, item)]));
}

function toSet(items: unknown): unknown {
  return Array.isArray(items) ? new Set(items) : items;
}

/** `schemaOf` says what is wanted at each index. */
function decodeItems(place: Place, schemaOf: (index: number) => z.core.$ZodType | null | undefined): unknown {
  const items = place.source === "text" ? itemsOf(place.value) : place.value;
  if (!Array.isArray(items)) return items;
  return items.map((item, index) => {
    const schema = schemaOf(index);
    return schema ? inner(place, schema, item) : item;
  });
}

/** `a=1` is an array of one, `a[]=1&a[]=2` and `a[0]=1&a[1]=2` are arrays of two. */
function itemsOf(value: unknown): unknown {
  if (typeof value === "string") return [value];
  const isList = isFields(value) && Object.keys(value).every((key) => /^\d*$/.test(key));
  return isList ? Object.values(value).flat() : value;
}

/** An object may also come as JSON text, which no text of its fields can be taken for. */
function opened(place: Place): Place {
  const { value, source } = place;
  if (source === "json" || typeof value !== "string" || !value.startsWith("{")) return place;
  try {
    return { ...place, value: parseJson(value), source: "json" };
  } catch {
    return place;
  }
}

/** Takes from each side of an intersection what that side knew how to decode. */
function merge(value: unknown, left: unknown, right: unknown): unknown {
  if (isFields(left) && isFields(right)) {
    const fields = isFields(value) ? value : {};
    return Object.fromEntries(Object.keys(left).map((name) => [name, merge(fields[name], left[name], right[name])]));
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    const items = Array.isArray(value) ? value : [];
    return left.map((item, index) => merge(items[index], item, right[index]));
  }
  return left === value ? right : left;
}

/** An object as JSON and queries have them; a `Date` or `Map` is none. */
function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
