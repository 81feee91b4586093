import type { ProfilesPort } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";

export function createProfiles(): ProfilesPort {
  return {
    list: async () => ({ profiles: [], problems: [] }),
    get: async (name) => {
      throw new KsiError("NOT_FOUND", `There is no profile ${name}.`);
    },
  };
}
