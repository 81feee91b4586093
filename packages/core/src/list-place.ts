import { KsiError } from "@ksi/contract/errors";

/**
 * The place in a list that `after` names, as the list gave it for `next`: digits, or with `parts` 2 digits and a side.
 * `INVALID_INPUT` for anything else, which Redis could not read, or would read as something else.
 */
export function readPlace(after: string, parts = 1): string {
  const pattern = parts === 1 ? /^\d{1,16}$/ : /^\d{1,16}\.[12]$/;
  if (pattern.test(after)) return after;
  throw new KsiError(
    "INVALID_INPUT",
    "after: is not a `next` of this list. Leave it out to start from the beginning.",
    {
      details: { issues: [{ path: "after", message: "is not a `next` of this list" }] },
    },
  );
}
