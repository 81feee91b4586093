/** Reads a request's body as JSON, within a limit. */
import { KsiError } from "@ksi/contract";

/**
 * What the body says. Never holds more than `maxBytes` and one chunk.
 *
 * `UNSUPPORTED_MEDIA_TYPE` for anything but UTF-8 JSON without an encoding, `PAYLOAD_TOO_LARGE`, and
 * `MALFORMED_REQUEST` for what is not JSON.
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  checkFormat(request.headers);
  const bytes = await readBytes(request, maxBytes);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new KsiError("MALFORMED_REQUEST", "The body is not JSON in UTF-8.", { cause });
  }
}

function checkFormat(headers: Headers): void {
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  if (type.trim() !== "application/json" || !isUtf8) {
    throw new KsiError("UNSUPPORTED_MEDIA_TYPE", "The body must be sent with content-type: application/json (UTF-8).");
  }
  const encoding = headers.get("content-encoding");
  if (encoding && encoding.toLowerCase() !== "identity") {
    throw new KsiError("UNSUPPORTED_MEDIA_TYPE", "The body must be sent without a content-encoding.");
  }
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new KsiError("PAYLOAD_TOO_LARGE", `The body is over the limit of ${maxBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof KsiError) throw cause;
    if (request.signal.aborted) throw clientGone();
    throw new KsiError("MALFORMED_REQUEST", "The body broke off.", { cause });
  }
  return Buffer.concat(chunks);
}

/** Whatever the signal's reason is, it is no fault of ours. */
export function clientGone(): KsiError {
  return new KsiError("CANCELLED", "The client went away.");
}
