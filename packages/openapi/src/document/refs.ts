/** References inside of JSON Schemas and of documents that hold them. */

/**
 * A copy in which each reference, those in a discriminator's mapping included, is what `map` gives for it; one for
 * which that is undefined is left out.
 */
export function mapRefs<T>(json: T, map: (ref: string) => string | undefined): T {
  return JSON.parse(JSON.stringify(json), (key, value: unknown) => {
    if (key === "$ref" && typeof value === "string") return map(value);
    if (key === "discriminator" && hasMapping(value)) {
      const mapping = Object.entries(value.mapping).map(([literal, ref]) => [literal, map(ref)]);
      return { ...value, mapping: Object.fromEntries(mapping) };
    }
    return value;
  });
}

export function refsOf(json: unknown): Set<string> {
  const refs = new Set<string>();
  mapRefs(json, (ref) => {
    refs.add(ref);
    return ref;
  });
  return refs;
}

function hasMapping(value: unknown): value is { mapping: Record<string, string> } {
  return typeof value === "object" && value !== null && "mapping" in value && typeof value.mapping === "object";
}
