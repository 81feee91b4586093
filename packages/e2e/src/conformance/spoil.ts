/** From an input that the document says is valid to one that it says is not, in one place. */
import type { ApiDocument, Operation } from "./api-document.ts";
import type { Input } from "./input.ts";
import { readingOfTexts, violate } from "./violations.ts";

export interface SpoiledInput {
  readonly what: string;
  readonly input: Input;
  /** With which it must be refused. */
  readonly status: number;
}

/** `pick` chooses among the places and what is wrong there. Undefined where the place takes everything. */
export function spoil(
  document: ApiDocument,
  operation: Operation,
  input: Input,
  pick: number,
): SpoiledInput | undefined {
  const { parameters, body } = operation;
  const parameter = parameters[pick % (parameters.length + (body ? 1 : 0))];
  if (!parameter) {
    const violation = body && violate(document, body.schema, input.body ?? {}, pick);
    if (!violation) return undefined;
    const { what, value } = violation;
    return { what: `body: ${what}`, status: statusOf(operation, value), input: { ...input, body: value } };
  }
  const { name, in: where, schema } = parameter;
  const violation = violate(document, schema, input[where][name] ?? "x", pick, readingOfTexts(parameter, document));
  if (!violation) return undefined;
  const { what, value } = violation;
  const fields = { ...input[where], [name]: value };
  // A header may go before what the query says, so others are left out.
  return { what: `${name}: ${what}`, status: statusOf(operation), input: { ...input, header: {}, [where]: fields } };
}

const maxBodyBytes = 8_388_608;

function statusOf({ path }: Operation, body?: unknown): number {
  if (path === "/ws") return 426;
  if (body !== undefined && Buffer.byteLength(JSON.stringify(body)) > maxBodyBytes) return 413;
  return path.startsWith("/v1/") ? 400 : 422;
}
