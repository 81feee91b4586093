/** One zod schema as JSON Schema 2020-12, said as briefly as it can be said. */
import { z } from "zod";
import { createCollections } from "./collections.ts";
import type { PlainJsonSchema } from "./openapi.ts";
import { mapRefs } from "./refs.ts";
import type { SchemaNaming } from "./schema-naming.ts";

/**
 * As `createOpenApiHandler` takes and gives it: dates are strings of `format: date-time`, bigints strings of digits, a Set
 * is an array and a Map an object. `z.json()` is the schema that takes anything, and bounds that every integer of
 * JavaScript has are left out. Objects of answers are open unless the schema is strict, so that a new field breaks no
 * client. Throws for what does not travel, such as a function.
 */
export function toPlainJsonSchema(
  schema: z.core.$ZodType,
  io: "input" | "output",
  naming: SchemaNaming,
): PlainJsonSchema {
  return convert(schema, { io, naming, around: [] });
}

interface ConversionContext {
  readonly io: "input" | "output";
  readonly naming: SchemaNaming;
  /** The elements of collections that the schema is in. */
  readonly around: readonly z.core.$ZodType[];
}

function convert(schema: z.core.$ZodType, context: ConversionContext): PlainJsonSchema {
  const { io, naming } = context;
  const collections = createCollections({ ...context, convert });
  const unrepresentable: z.core.UnrepresentableHandler<z.core.$ZodTypes> = ({ zodSchema: { _zod } }) => {
    switch (_zod.def.type) {
      case "date":
        return { type: "string", format: "date-time" };
      case "bigint":
        return { type: "string", pattern: "^-?\\d+$" };
      case "set":
        return { type: "array", uniqueItems: true, items: collections.write(_zod.def.valueType) };
      case "map":
        return { type: "object", additionalProperties: collections.write(_zod.def.valueType) };
      case "custom":
      case "transform":
      case "undefined":
      case "void":
        return "any";
      default:
        return "throw";
    }
  };
  const converted = z.toJSONSchema(schema, { io, metadata: naming.metadata, unrepresentable, override });
  const { $schema: _, $defs, ...json }: PlainJsonSchema = JSON.parse(JSON.stringify(converted));
  return withoutTrivialParts({ ...json, $defs: { ...collections.parts, ...$defs } });
}

interface Converted {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}

function override({ zodSchema, jsonSchema }: Converted): void {
  const { def } = zodSchema._zod;
  switch (def.type) {
    case "lazy":
      if (zodSchema instanceof z.core.$ZodLazy && takesAnyJson(zodSchema)) dropAllButAnnotations(jsonSchema);
      return;
    case "nullable":
      flattenAnyOf(jsonSchema);
      return;
    case "number":
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      return;
    case "object":
      if (!("catchall" in def && def.catchall)) delete jsonSchema.additionalProperties;
      return;
    case "record":
      if (JSON.stringify(jsonSchema.propertyNames) === '{"type":"string"}') delete jsonSchema.propertyNames;
      return;
    case "union":
      if ("discriminator" in def) addDiscriminator(def, jsonSchema);
      return;
    default:
  }
}

/** True for what `z.json()` makes: a union that holds every kind of JSON value, arrays and records of itself included. */
function takesAnyJson(schema: z.core.$ZodLazy): boolean {
  const union = schema._zod.innerType;
  if (!(union instanceof z.core.$ZodUnion)) return false;
  const kinds = union._zod.def.options.map((option) => {
    if (option instanceof z.core.$ZodArray && !isSame(option._zod.def.element)) return "array of others";
    if (option instanceof z.core.$ZodRecord && !isSame(option._zod.def.valueType)) return "record of others";
    return option._zod.def.type;
  });
  const all: (typeof kinds)[number][] = ["string", "number", "boolean", "null", "array", "record"];
  return all.every((kind) => kinds.includes(kind));

  // With a refinement the schema is a copy, whose parts still refer to the original.
  function isSame(other: z.core.$ZodType): boolean {
    return other instanceof z.core.$ZodLazy && other._zod.def.getter === schema._zod.def.getter;
  }
}

/** `A or B, or null` is `A, B or null`. */
function flattenAnyOf(json: z.core.JSONSchema.BaseSchema): void {
  const isOnlyAnyOf = (option: z.core.JSONSchema.BaseSchema) => Object.keys(option).join() === "anyOf";
  json.anyOf &&= json.anyOf.flatMap((option) => (isOnlyAnyOf(option) ? (option.anyOf ?? []) : [option]));
}

const annotations = ["$id", "id", "title", "description", "deprecated", "default", "examples"];

function dropAllButAnnotations(json: z.core.JSONSchema.BaseSchema): void {
  for (const keyword of Object.keys(json)) if (!annotations.includes(keyword)) delete json[keyword];
}

/** Only where all options are components: a mapping cannot point at anything else. */
function addDiscriminator(def: z.core.$ZodUnionDef, json: z.core.JSONSchema.BaseSchema): void {
  if (!("discriminator" in def) || typeof def.discriminator !== "string") return;
  const propertyName = def.discriminator;
  const mapping: Record<string, string> = {};
  for (const [i, option] of def.options.entries()) {
    const ref = json.oneOf?.[i]?.$ref;
    if (ref === undefined) return;
    for (const value of option._zod.propValues?.[propertyName] ?? []) mapping[String(value)] = ref;
  }
  json.discriminator = { propertyName, mapping };
}

/** A part that was cut out of a cycle, and takes anything, needs no place of its own. */
function withoutTrivialParts({ $defs = {}, ...json }: PlainJsonSchema): PlainJsonSchema {
  const parts = Object.entries($defs);
  const trivial = new Set(
    parts.filter(([id, part]) => id.startsWith("__") && Object.keys(part).length === 0).map(([id]) => `#/$defs/${id}`),
  );
  const kept = parts.filter(([id]) => !trivial.has(`#/$defs/${id}`));
  return mapRefs({ ...json, $defs: Object.fromEntries(kept) }, (ref) => (trivial.has(ref) ? undefined : ref));
}
