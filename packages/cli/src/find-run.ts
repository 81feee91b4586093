/** From what a user types for a run to its id. */
import type { KsiClient } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";

/** Runs among which the beginning of an id is looked for: one page of the newest. */
const searched = 500;

/** The id itself, or its beginning where only one of the newest runs has it. `NOT_FOUND`, or `INVALID_INPUT` for several. */
export async function findRunId(ksi: KsiClient, idOrPrefix: string): Promise<string> {
  try {
    return (await ksi.runs.get(idOrPrefix)).run_id;
  } catch (error) {
    if (KsiError.from(error).code !== "NOT_FOUND") throw error;
  }
  const { runs } = await ksi.runs.list({ limit: searched });
  const ids = runs.map(({ run_id }) => run_id).filter((id) => id.startsWith(idOrPrefix));
  if (ids.length === 1 && ids[0]) return ids[0];
  if (ids.length === 0) throw new KsiError("NOT_FOUND", `There is no run ${idOrPrefix}. \`ksi runs\` lists them.`);
  throw new KsiError("INVALID_INPUT", `${ids.length} runs begin with ${idOrPrefix}; type more of the id.`);
}
