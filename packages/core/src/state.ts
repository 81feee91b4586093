import type { StatePort } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";

export function createState(): StatePort {
  const missing = async (): Promise<never> => {
    throw new KsiError("INTERNAL", "The shared state is not there yet.");
  };
  return { get: missing, set: missing, delete: missing, list: missing };
}
