import type { Json } from "@ksi/client";

/** What somebody typed; where it is not JSON, it is meant as text. */
export function toJson(typed: string): Json {
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

/** For one line. A payload may have 256 kB, of which this is the beginning. */
export function toPreview(payload: Json): string {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  return text.slice(0, 200);
}
