/** The document with something wrong in it. */

/** Sets what is at `place` to `value`, or removes it where that is undefined. */
export function plant(text: string, place: readonly string[], value: unknown): string {
  const document: unknown = JSON.parse(text);
  const parent = place.slice(0, -1).reduce((at, name) => fieldsOf(at, place)[name], document);
  const last = place.at(-1) ?? "";
  fieldsOf(parent, place)[last] = value;
  return JSON.stringify(document);
}

function fieldsOf(value: unknown, place: readonly string[]): Record<string, unknown> {
  if (!isObject(value)) throw new Error(`The document has nothing at ${place.join(" / ")}.`);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
