import { hash } from "node:crypto";

/** Of JSON: the same for the same fields, whatever their order. */
export function fingerprint(input: object): string {
  return hash(
    "sha256",
    JSON.stringify(input, (_name, value: unknown) => sortFields(value)),
  );
}

function sortFields(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
