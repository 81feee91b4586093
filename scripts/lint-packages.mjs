// `npm run lint:packages`: packs every published package as npm would publish it, and has publint and
// "are the types wrong" look at the archive: what a stranger gets, not what happens to lie in the folder.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const exec = promisify(execFile);
const root = join(import.meta.dirname, "..");
const everyPackageHolds = ["LICENSE", "README.md", "package.json"];

const folder = await mkdtemp(join(tmpdir(), "ksi-pack-"));
try {
  const problems = [];
  for (const name of await publishedPackages()) problems.push(...(await check(name)));
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  await rm(folder, { recursive: true });
}

async function publishedPackages() {
  const names = await readdir(join(root, "packages"));
  const manifests = await Promise.all(names.map(readManifest));
  return names.filter((_, index) => !manifests[index].private);
}

/** @param {string} name */
async function readManifest(name) {
  return JSON.parse(await readFile(join(root, "packages", name, "package.json"), "utf8"));
}

/** @param {string} name */
async function check(name) {
  const cwd = join(root, "packages", name);
  const pack = await exec("npm", ["pack", "--json", "--pack-destination", folder], { cwd });
  const [{ filename, files }] = JSON.parse(pack.stdout);
  /** @type {string[]} */
  const packed = files.map((/** @type {{ path: string }} */ file) => file.path);
  const missing = everyPackageHolds.filter((file) => !packed.includes(file));
  const needless = packed.filter((file) => /\.(test|test-d)\.|\/testing\/|tsbuildinfo/.test(file));
  return [
    ...missing.map((file) => `${name}: the archive lacks ${file}`),
    ...needless.map((file) => `${name}: the archive holds ${file}`),
    ...(await lintArchive(name, join(folder, filename))),
    ...(await checkTypes(name, join(folder, filename))),
  ];
}

/**
 * @param {string} name
 * @param {string} archive
 */
async function lintArchive(name, archive) {
  const { buffer } = new Uint8Array(await readFile(archive));
  const { messages, pkg } = await publint({ strict: true, pack: { tarball: buffer } });
  return messages.map((message) => `${name}: publint: ${formatMessage(message, pkg)}`);
}

/**
 * @param {string} name
 * @param {string} archive
 */
async function checkTypes(name, archive) {
  const { exports } = await readManifest(name);
  if (!exports) return []; // a command, which nobody imports
  const attw = join(root, "node_modules/@arethetypeswrong/cli/dist/index.js");
  const args = [attw, archive, "--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji"];
  try {
    await exec(process.execPath, args);
    return [];
  } catch (error) {
    return [`${name}: attw:\n${/** @type {{ stdout?: string }} */ (error).stdout || error}`];
  }
}
