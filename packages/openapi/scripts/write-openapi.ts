/**
 * Writes `openapi.json`, which is checked in and served by the daemon. With `--check` it writes nothing, and fails where
 * the file is not what would be written.
 */
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createKsiDocument } from "../src/ksi/document.ts";
import { readComments } from "./read-comments.ts";

const packages = join(import.meta.dirname, "../..");
const target = join(import.meta.dirname, "../openapi.json");

/** In the order in which they import each other. */
const commented = [
  "contract/src/errors.ts",
  ...["common", "agents", "messages", "profiles", "runs", "sessions", "state", "system"].map(
    (name) => `contract/src/schemas/${name}.ts`,
  ),
  "contract/src/events.ts",
  "openapi/src/openai/chat-schemas.ts",
];

const sources = await Promise.all(
  commented.map(async (name) => ({ name, text: await readFile(join(packages, name), "utf8") })),
);
const manifest: { version: string } = JSON.parse(await readFile(join(import.meta.dirname, "../package.json"), "utf8"));
const document = await createKsiDocument({ version: manifest.version, comments: readComments(sources) });
const text = format(JSON.stringify(document));

if (process.argv.includes("--check")) {
  if (text === (await readFile(target, "utf8").catch(() => ""))) process.exit();
  console.error(
    "openapi.json is not what packages/openapi/scripts/write-openapi.ts writes. Run it, and look at the diff.",
  );
  process.exit(1);
}
await writeFile(target, text);

/** By the formatter of this repository, which looks at the file too. */
function format(json: string): string {
  const biome = createRequire(import.meta.url).resolve("@biomejs/biome/bin/biome");
  const args = [biome, "format", "--stdin-file-path=packages/openapi/openapi.json", "--colors=off"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: join(packages, ".."),
    input: json,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return stdout;
  throw new Error(`biome could not format the document: ${stderr}`);
}
