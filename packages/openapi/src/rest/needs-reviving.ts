/** Whether a schema can hold what JSON cannot. */
import { z } from "zod";

/**
 * `false` for a schema without any `Date`, bigint, `Set` or `Map` in it: JSON that is sent for it is its value already. Most
 * are, and walking a body through a recursive schema such as `z.json()` costs more than reading it.
 */
export function needsReviving(schema: z.core.$ZodType): boolean {
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const needed = search(schema);
  cache.set(schema, needed);
  return needed;
}

const cache = new WeakMap<z.core.$ZodType, boolean>();

function search(root: z.core.$ZodType): boolean {
  const seen = new Set([root]);
  for (const schema of seen) {
    // A lazy schema may make new ones for ever.
    if (isRevived(schema) || seen.size > 10_000) return true;
    for (const child of childrenOf(schema)) seen.add(child);
  }
  return false;
}

function isRevived(schema: z.core.$ZodType): boolean {
  return ["date", "bigint", "set", "map"].includes(schema._zod.def.type);
}

function childrenOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.core.$ZodLazy) return [schema._zod.innerType];
  if (schema instanceof z.core.$ZodObject)
    return [schema._zod.def.catchall, ...Object.values(schema._zod.def.shape)].filter(isSchema);
  return places.flatMap((place): unknown => Reflect.get(schema._zod.def, place)).filter(isSchema);
}

/** Where the other types keep theirs. Reading all of a definition would call the functions that make default values. */
const places = [
  "innerType",
  "in",
  "out",
  "left",
  "right",
  "options",
  "element",
  "items",
  "rest",
  "keyType",
  "valueType",
];

function isSchema(value: unknown): value is z.core.$ZodType {
  return value instanceof z.core.$ZodType;
}
