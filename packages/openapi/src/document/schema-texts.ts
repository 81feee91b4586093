/** What is said about schemas elsewhere than in them, in comments of their source for example. */
import type { JsonSchema } from "./openapi.ts";

export interface SchemaTexts {
  readonly description?: string;
  /** By the name of the property. */
  readonly properties?: Readonly<Record<string, SchemaTexts>>;
}

/** A copy with the descriptions put in. What the schema says itself (`.describe()`) stays. */
export function applyTexts(schema: JsonSchema, texts: SchemaTexts | undefined): JsonSchema {
  if (!texts) return schema;
  const { description, properties } = texts;
  const described = { ...(description !== undefined && { description }), ...schema };
  if (!properties || !schema.properties) return described;
  const entries = Object.entries(schema.properties).map(([name, property]) => [
    name,
    applyTexts(property, Object.hasOwn(properties, name) ? properties[name] : undefined),
  ]);
  return { ...described, properties: Object.fromEntries(entries) };
}
