/** What a producer that speaks only Redis has appended, read as the call that it stands for. */
import { invalidInput, limits } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { z } from "zod";

/**
 * The input of the call. An entry is one field `data` with the call's JSON, or the call's own fields; Redis knows only
 * strings, so what is no string (a number, a list) needs `data`.
 *
 * `PAYLOAD_TOO_LARGE` beyond `limits.bodyBytes`, as for any call, `MALFORMED_REQUEST` where `data` is no JSON,
 * `INVALID_INPUT` for what fails the schema. `flat` is name, value, name, value, … as Redis gives it.
 */
export function readWayEntry<Input>(flat: readonly string[], schema: z.ZodType<Input>): Input {
  const bytes = flat.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > limits.bodyBytes) {
    const message = `The entry has ${bytes} bytes; a call may have ${limits.bodyBytes}.`;
    throw new KsiError("PAYLOAD_TOO_LARGE", message);
  }
  const parsed = schema.safeParse(readCall(flat));
  if (!parsed.success) throw invalidInput(parsed.error);
  return parsed.data;
}

function readCall(flat: readonly string[]): unknown {
  const fields = fieldsOf(flat);
  const { data } = fields;
  if (data === undefined) return fields;
  if (flat.length > 2) {
    // What stands beside it might be an idempotency key, which must not be ignored.
    const issue = { path: "data", message: "must be the only field of the entry; put the others into its JSON" };
    throw new KsiError("INVALID_INPUT", `${issue.path}: ${issue.message}`, { details: { issues: [issue] } });
  }
  try {
    return JSON.parse(data);
  } catch (cause) {
    throw new KsiError("MALFORMED_REQUEST", "The field data is no JSON.", { cause });
  }
}

/** To be kept with the reason for which an entry was refused: its `data`, or its fields as JSON. */
export function showWayEntry(flat: readonly string[]): string {
  const fields = fieldsOf(flat);
  return flat.length === 2 && fields.data !== undefined ? fields.data : JSON.stringify(fields);
}

function fieldsOf(flat: readonly string[]): Record<string, string> {
  const pairs = flat.flatMap((name, i) => (i % 2 ? [] : [[name, flat[i + 1] ?? ""] as const]));
  return Object.fromEntries(pairs);
}
