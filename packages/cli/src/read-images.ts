/** Reads the pictures of `ksi run --image`. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { SpawnRequest } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";

type Image = NonNullable<SpawnRequest["images"]>[number];

/** `limits.imageBytes` of the contract, whose schemas would make the start of every command slower. */
const imageMaxBytes = 5_000_000;

/**
 * Each file as it goes over the wire, in the order given; relative ones are taken from `cwd`. The first bytes say what
 * it is, and not its name. `INVALID_INPUT` names a file that cannot be read, is no picture, or is too large.
 */
export async function readImages(files: readonly string[], cwd: string): Promise<Image[]> {
  return await Promise.all(files.map((file) => readImage(resolve(cwd, file))));
}

async function readImage(path: string): Promise<Image> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new KsiError("INVALID_INPUT", `--image: ${path} cannot be read (${cause.code}).`, { cause });
  });
  const media_type = recognise(bytes);
  if (!media_type) throw new KsiError("INVALID_INPUT", `--image: ${path} is not a PNG, JPEG, GIF or WebP picture.`);
  if (bytes.length > imageMaxBytes) {
    const message = `--image: ${path} has ${bytes.length} bytes; at most ${imageMaxBytes} are taken. Make it smaller.`;
    throw new KsiError("INVALID_INPUT", message);
  }
  return { media_type, data: bytes.toString("base64") };
}

function recognise(bytes: Buffer): Image["media_type"] | undefined {
  const head = bytes.toString("latin1", 0, 12);
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (/^GIF8[79]a/.test(head)) return "image/gif";
  if (/^RIFF[\s\S]{4}WEBP$/.test(head)) return "image/webp";
  return undefined;
}
