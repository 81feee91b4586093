/** The body of a request, within limits. */
import { TRPCError } from "@trpc/server";
import type { Source } from "./decode.ts";
import { parseJson } from "./json.ts";
import { parseQuery } from "./query.ts";
import { readBytes } from "./read-bytes.ts";

export interface Body {
  /** A form holds texts. */
  readonly source: Source;
  readonly value: unknown;
}

/**
 * Reads and parses a body. `undefined` where there is none, whatever its headers say.
 *
 * Throws a `TRPCError`: `PAYLOAD_TOO_LARGE` over `maxBytes`, by the header or as soon as that many have come (no more are
 * read); `UNSUPPORTED_MEDIA_TYPE` for a content-encoding, charset or media type that is not taken; `PARSE_ERROR` for bytes
 * that are no text in their charset, or text that is no JSON; `CLIENT_CLOSED_REQUEST` where the client is gone.
 *
 * @param contentTypes taken beside `application/json` and `application/*+json`: `application/x-www-form-urlencoded` or none
 */
export async function readBody(
  request: Request,
  maxBytes: number,
  contentTypes: readonly string[] = [],
): Promise<Body | undefined> {
  if (request.bodyUsed) throw new TypeError("Something has read the request's body before the handler got it.");
  const length = request.headers.get("content-length");
  if (!request.body || length === "0") return undefined;
  if (Number(length) > maxBytes) throw tooLarge(maxBytes);
  const { isForm, decoder } = formatOf(request.headers, contentTypes);
  const bytes = await readBytes(request, maxBytes).catch((cause: unknown) => {
    if (request.signal.aborted) throw new TRPCError({ code: "CLIENT_CLOSED_REQUEST", cause });
    throw new TRPCError({ code: "PARSE_ERROR", message: "The body broke off.", cause });
  });
  if (bytes === "too large") throw tooLarge(maxBytes);
  if (bytes.length === 0) return undefined;
  const text = decodeText(decoder, bytes);
  return isForm ? { source: "text", value: parseQuery(text) } : { source: "json", value: parse(text) };
}

type Decoder = InstanceType<typeof TextDecoder>;

const form = "application/x-www-form-urlencoded";

function formatOf(headers: Headers, contentTypes: readonly string[]): { isForm: boolean; decoder: Decoder } {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() || "identity";
  if (encoding !== "identity") throw unsupported("A body must not be encoded: leave content-encoding out.");
  const [type = "", ...parameters] = (headers.get("content-type") ?? "application/json").toLowerCase().split(";");
  const isForm = type.trim() === form && contentTypes.includes(form);
  if (!isForm && !/^application\/(json|[\w!#$&^.+-]+\+json)$/.test(type.trim())) {
    throw unsupported(`A body must be application/json${contentTypes.includes(form) ? ` or ${form}` : ""}.`);
  }
  return { isForm, decoder: decoderFor(charsetOf(parameters)) };
}

function charsetOf(parameters: readonly string[]): string {
  const values = parameters.flatMap((parameter) => /^\s*charset\s*=\s*"?([^"]*?)"?\s*$/.exec(parameter)?.[1] ?? []);
  return values[0] ?? "utf-8";
}

function decoderFor(charset: string): Decoder {
  try {
    return new TextDecoder(charset, { fatal: true });
  } catch {
    throw unsupported("The charset of the body is unknown: use utf-8.");
  }
}

function decodeText(decoder: Decoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    const message = `The body is no text in its charset, ${decoder.encoding}.`;
    throw new TRPCError({ code: "PARSE_ERROR", message, cause });
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new TRPCError({ code: "PARSE_ERROR", message: "The body is not valid JSON.", cause });
  }
}

function tooLarge(maxBytes: number): TRPCError {
  return new TRPCError({ code: "PAYLOAD_TOO_LARGE", message: `A body must not be over ${maxBytes} bytes.` });
}

function unsupported(message: string): TRPCError {
  return new TRPCError({ code: "UNSUPPORTED_MEDIA_TYPE", message });
}
