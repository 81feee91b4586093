import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { readImages } from "./read-images.ts";

const heads = {
  "image/png": "\x89PNG\r\n\x1a\n",
  "image/jpeg": "\xff\xd8\xff\xe0",
  "image/gif": "GIF89a",
  "image/webp": "RIFF\x0a\x00\x00\x00WEBP",
};

test("pictures are known by their first bytes, and stay in order", async () => {
  await using folder = await createTempFolder();
  const expected = Object.entries(heads).map(([media_type, head]) => {
    const bytes = Buffer.from(`${head}rest`, "latin1");
    return { file: media_type.replace("/", "."), bytes, image: { media_type, data: bytes.toString("base64") } };
  });
  for (const { file, bytes } of expected) await writeFile(join(folder.path, file), bytes);
  const files = expected.map(({ file }) => file);
  expect(await readImages(files, folder.path)).toEqual(expected.map(({ image }) => image));
});

test("a file that is missing, no picture or too large is named", async () => {
  await using folder = await createTempFolder();
  await writeFile(join(folder.path, "text.png"), "no picture");
  await writeFile(join(folder.path, "large.gif"), `GIF89a${"x".repeat(5_000_000)}`);
  const read = (file: string) => readImages([file], folder.path);
  await expect(read("none.png")).rejects.toThrow("none.png cannot be read (ENOENT)");
  await expect(read("text.png")).rejects.toThrow("text.png is not a PNG, JPEG, GIF or WebP picture");
  await expect(read("large.gif")).rejects.toMatchObject({
    code: "INVALID_INPUT",
    message: expect.stringContaining("large.gif has 5000006 bytes; at most 5000000"),
  });
});
