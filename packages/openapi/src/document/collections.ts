/** The elements of Sets and Maps, which z.toJSONSchema does not look into. */
import type { z } from "zod";
import type { JsonSchema, PlainJsonSchema } from "./openapi.ts";
import { mapRefs, refsOf } from "./refs.ts";
import type { SchemaNaming } from "./schema-naming.ts";

export interface Collections {
  /** Throws for an element that holds itself in a Set or Map, and has no name to be referred to by. */
  write(element: z.core.$ZodType): z.core.JSONSchema.JSONSchema;
  /** What the written elements refer to, for the `$defs` of the schema around them. */
  readonly parts: Readonly<Record<string, JsonSchema>>;
}

export interface CollectionsOptions {
  readonly io: "input" | "output";
  readonly naming: SchemaNaming;
  /** The elements of collections that the schema is in. */
  readonly around: readonly z.core.$ZodType[];
  readonly convert: (schema: z.core.$ZodType, context: Omit<CollectionsOptions, "convert">) => PlainJsonSchema;
}

export function createCollections({ io, naming, around, convert }: CollectionsOptions): Collections {
  const parts: Record<string, JsonSchema> = {};

  function write(element: z.core.$ZodType): JsonSchema {
    const name = naming.nameOf(element);
    if (around.includes(element)) {
      if (name !== undefined) return { $ref: `#/$defs/${name}` };
      throw new Error("A schema that holds itself in a Set or Map needs a name.");
    }
    const { $defs = {}, ...json } = convert(element, { io, naming, around: [...around, element] });
    // Parts without a name would be taken for those of what is around the collection.
    const prefix = `__schema${around.length}in${Object.keys(parts).length}of`;
    const nameOf = (id: string) => id.replace(/^__schema/, prefix);
    const place = (part: JsonSchema) =>
      mapRefs(part, (ref) => `#/$defs/${ref === "#" ? prefix : nameOf(ref.slice("#/$defs/".length))}`);
    for (const [id, part] of Object.entries($defs)) parts[nameOf(id)] = place(part);
    if (!refsOf([json, $defs]).has("#")) return place(json);
    parts[prefix] = place(json);
    return { $ref: `#/$defs/${prefix}` };
  }

  // Both types are JSON Schema; zod's only names the possible types one by one.
  return { parts, write: (element) => JSON.parse(JSON.stringify(write(element))) };
}
