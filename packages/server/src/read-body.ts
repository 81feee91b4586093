/**
 * The whole body, or `"too large"` as soon as that is known, from the header or from what arrives; undefined where
 * there is none. Never holds more than `maxBytes` and one chunk.
 */
export async function readBody(
  request: Request,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | "too large" | undefined> {
  if (request.method === "GET" || request.method === "HEAD") return undefined;
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) return "too large";
  if (!request.body) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return "too large";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
