import { KsiError } from "@ksi/contract/errors";

/** All that stdin holds, as text. `INVALID_INPUT` with the sentence `tooLong` where that is more than `maxBytes`. */
export async function readStdin(stdin: NodeJS.ReadStream, maxBytes: number, tooLong: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    chunks.push(Buffer.from(chunk));
    bytes += chunks.at(-1)?.length ?? 0;
    if (bytes > maxBytes) throw new KsiError("INVALID_INPUT", tooLong);
  }
  return Buffer.concat(chunks).toString("utf8");
}
