/** Which schemas are components, and what they are called. */
import { z } from "zod";

export interface SchemaNaming {
  nameOf(schema: z.core.$ZodType): string | undefined;
  /** What `.meta()` and `.describe()` say, with the name as the id. */
  readonly metadata: z.core.$ZodRegistry<z.core.GlobalMeta>;
}

/** The names that are given, and those that schemas have by `.meta({ id })`. */
export function createSchemaNaming(schemas: Readonly<Record<string, z.core.$ZodType>>): SchemaNaming {
  const names = new Map<z.core.$ZodType, string>();
  for (const [name, schema] of Object.entries(schemas)) {
    // One schema under two names would be two components that say the same.
    if (!names.has(schema)) names.set(schema, name);
  }
  const nameOf = (schema: z.core.$ZodType) => names.get(schema) ?? z.globalRegistry.get(schema)?.id;
  const metadata = z.registry<z.core.GlobalMeta>();
  metadata.get = (schema) => {
    const meta = z.globalRegistry.get(schema);
    const id = nameOf(schema);
    return id === undefined ? meta : { ...meta, id };
  };
  return { nameOf, metadata };
}
