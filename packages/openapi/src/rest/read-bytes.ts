/**
 * All bytes of a body, or `"too large"`: by the header, or as soon as more than `maxBytes` have come, and then no more
 * are read. None are an empty array. Rejects where the body breaks off.
 */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | "too large"> {
  const length = request.headers.get("content-length");
  if (Number(length) > maxBytes) return "too large";
  if (!request.body) return new Uint8Array();
  if (length === null) return await readStream(request.body, maxBytes);
  // Servers hold a body to the length that was told, and reading it in one go costs half as much.
  const bytes = new Uint8Array(await request.arrayBuffer());
  return bytes.length > maxBytes ? "too large" : bytes;
}

async function readStream(body: ReadableStream<Uint8Array>, maxBytes: number) {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      length += next.value.length;
      if (length > maxBytes) return "too large";
      chunks.push(next.value);
    }
  } finally {
    // Also so that no more is read; what it rejects with would hide the error that matters.
    reader.cancel().catch(() => {});
  }
  return concat(chunks, length);
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
