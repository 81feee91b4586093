/** What schemas are called as components of the document. */
import { z } from "zod";

/** All zod schemas among `values`, each by the name of its constant: `spawnInput` is `SpawnInput`. */
export function nameSchemas(values: object): Record<string, z.ZodType> {
  const found = Object.entries(values).filter((entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType);
  return Object.fromEntries(found.map(([name, schema]) => [pascal(name), schema]));
}

/** The options of a discriminated union, each by its literal and `suffix`: `run.text` is `RunTextEvent`. */
export function nameOptions(union: z.ZodDiscriminatedUnion, key: string, suffix: string): Record<string, z.ZodType> {
  const named: Record<string, z.ZodType> = {};
  for (const option of union.options) {
    const [literal] = option._zod.propValues?.[key] ?? [];
    if (option instanceof z.ZodType) named[pascal(String(literal)) + suffix] = option;
  }
  return named;
}

export function pascal(name: string): string {
  return name.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
