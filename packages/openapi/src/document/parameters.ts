/** The fields of an input as parameters of a path, a query or headers. */
import type { JsonSchema, Parameter } from "./openapi.ts";
import type { SchemaWriter } from "./schema-writer.ts";

export interface ParameterSource {
  readonly where: Parameter["in"];
  /** The schema of an object. */
  readonly fields: JsonSchema;
  /** Which of its fields, and in which order. Default: all. */
  readonly names?: readonly string[];
  /** Descriptions for those whose field says nothing itself. */
  readonly texts: Readonly<Record<string, string>>;
  readonly schemas: SchemaWriter;
}

export function toParameters({ where, fields, names, texts, schemas }: ParameterSource): Parameter[] {
  return (names ?? Object.keys(fields.properties ?? {})).map((name) => {
    const { description, deprecated, ...schema } = withoutNull(fields.properties?.[name] ?? {});
    const { description: general, ...resolved } = withoutNull(schemas.resolve(schema));
    const text = description ?? texts[name] ?? general;
    const isRequired = where === "path" || fields.required?.includes(name);
    return {
      name,
      in: where,
      ...(isRequired && { required: true }),
      ...(deprecated === true && { deprecated }),
      ...(text !== undefined && { description: text }),
      ...(where === "query" && styleOf(resolved)),
      schema,
    };
  });
}

/** `a=1&a=2` for arrays, `a[b]=1` for objects and records. */
function styleOf(schema: JsonSchema): Pick<Parameter, "style" | "explode"> {
  if (schema.type === "array") return { style: "form", explode: true };
  return schema.type === "object" ? { style: "deepObject", explode: true } : {};
}

/** A parameter that is null is one that is left out. */
function withoutNull({ anyOf, ...schema }: JsonSchema): JsonSchema {
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== "null");
    const [type = "null"] = types;
    return { ...schema, ...(anyOf && { anyOf }), type: types.length > 1 ? types : type };
  }
  if (!anyOf) return schema;
  const others = anyOf.filter(({ type }) => type !== "null");
  const [only] = others;
  return only && others.length === 1 ? { ...only, ...schema } : { ...schema, anyOf: others };
}
