/** JSON that an agent made, fit to travel: nobody could correct what a caller would be refused. */
import { isRefusedKey, type Json, limits } from "@ksi/contract";

export interface FitJson {
  /** Without keys that no answer could carry, and with null for what is nested too deep. */
  readonly value: Json;
  readonly hasLostKeys: boolean;
  readonly isTooDeep: boolean;
}

export function fitJson(said: Json): FitJson {
  let [hasLostKeys, isTooDeep] = [false, false];

  function fit(value: Json, depth: number): Json {
    if (typeof value !== "object" || value === null) return value;
    if (depth === limits.jsonDepth) {
      isTooDeep = true;
      return null;
    }
    if (Array.isArray(value)) return value.map((member) => fit(member, depth + 1));
    const fields = Object.entries(value);
    const kept = fields.filter(([key]) => !isRefusedKey(key));
    hasLostKeys ||= kept.length < fields.length;
    return Object.fromEntries(kept.map(([key, member]) => [key, fit(member, depth + 1)]));
  }

  const value = fit(said, 0);
  return { value, hasLostKeys, isTooDeep };
}
