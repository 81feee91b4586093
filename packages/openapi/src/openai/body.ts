/** Reads a request's body as JSON, within a limit. */
import { KsiError } from "@ksi/contract";
import { readBytes } from "../rest/read-bytes.ts";

/**
 * What the body says. Never holds more than `maxBytes` and one chunk.
 *
 * `UNSUPPORTED_MEDIA_TYPE` for anything but UTF-8 JSON without an encoding, `PAYLOAD_TOO_LARGE`, and
 * `MALFORMED_REQUEST` for what is not JSON.
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  checkFormat(request.headers);
  const bytes = await readBytes(request, maxBytes).catch((cause: unknown) => {
    throw request.signal.aborted ? clientGone() : new KsiError("MALFORMED_REQUEST", "The body broke off.", { cause });
  });
  if (bytes === "too large") {
    throw new KsiError("PAYLOAD_TOO_LARGE", `The body is over the limit of ${maxBytes} bytes.`);
  }
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

/** Whatever the signal's reason is, it is no fault of ours. */
export function clientGone(): KsiError {
  return new KsiError("CANCELLED", "The client went away.");
}
