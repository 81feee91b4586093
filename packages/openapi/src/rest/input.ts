/** The input of a call, from the path, and from the query or the body. */
import { readBody } from "./body.ts";
import { decode } from "./decode.ts";
import { type Operation, takesBody } from "./operations.ts";
import type { MatchedOperation } from "./path-table.ts";
import { parseQuery, type TextFields } from "./query.ts";

/**
 * What the procedure is to be given, before tRPC validates it. GET and DELETE take the query, the others the body; what the
 * path says goes before both. Throws a `TRPCError` for a request that cannot be read, as `readBody` says.
 *
 * A body that is no object is given as it is, and so fails the schema. Where the path says all, none is read.
 */
export async function readInput(
  { operation, parameters }: MatchedOperation,
  request: Request,
  maxBodyBytes: number,
): Promise<unknown> {
  const { input, schema, method, meta, isInputOptional } = operation;
  if (!input || !schema) return undefined;
  const isQuery = method === "GET" || method === "DELETE";
  const body = () => (takesBody(operation) ? readBody(request, maxBodyBytes, meta.contentTypes) : undefined);
  const given = isQuery ? { source: "text" as const, value: queryOf(request, operation) } : await body();
  const { source, value } = given ?? { source: "json", value: {} };
  const fromPath = [...parameters].map(([name, text]) => {
    const field = input.shape[name];
    return [name, field ? decode(field, text, "text") : text];
  });
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const isNothing = fromPath.length === 0 && (isQuery ? Object.keys(value).length === 0 : !given);
  if (isInputOptional && isNothing) return undefined;
  return decode(schema, { ...value, ...Object.fromEntries(fromPath) }, source);
}

function queryOf(request: Request, { type, input }: Operation): TextFields {
  const fields = parseQuery(new URL(request.url).search.slice(1));
  if (type !== "subscription" || !input || !Object.hasOwn(input.shape, "lastEventId")) return fields;
  const { last_event_id, ...others } = fields;
  const lastEventId = lastEventIdOf(request.headers) || last_event_id;
  const usual = Object.hasOwn(input.shape, "last_event_id") ? fields : others;
  return lastEventId ? { ...usual, lastEventId } : usual;
}

/** An EventSource sends the id's UTF-8, whose bytes a header holds as Latin-1. */
function lastEventIdOf(headers: Headers): string | undefined {
  const value = headers.get("last-event-id");
  if (!value) return undefined;
  return new TextDecoder().decode(Uint8Array.from(value, (character) => character.charCodeAt(0)));
}
