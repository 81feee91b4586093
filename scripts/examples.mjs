// `npm run examples [-- --json FILE]`: runs every program of examples/ against one fresh daemon and compares what it
// prints with the expected.txt beside it. Needs no key and no network. A page is run by its test in packages/e2e.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { createTempFolder, startDaemonProcess } from "@ksi/testing";

const TIMEOUT_MS = 30_000;

const { values: flags } = parseArgs({ options: { json: { type: "string" } } });
const folder = join(import.meta.dirname, "../examples");
const isPage = (/** @type {string} */ name) => existsSync(join(folder, name, "index.html"));
const names = (await readdir(folder)).filter((name) => /^\d\d-/.test(name) && !isPage(name)).sort();

await using dataDir = await createTempFolder();
await using daemon = await startDaemonProcess({
  dataDir: dataDir.path,
  env: { KSI_DEFAULT_MODEL: "echo", KSI_LOG_LEVEL: "warn" },
});

let failed = 0;
for (const name of names) {
  const expected = await readFile(join(folder, name, "expected.txt"), "utf8");
  const actual = await runExample(name);
  if (actual === expected) console.log(`ok     ${name}`);
  else {
    failed++;
    console.log(`FAILED ${name}\n--- expected\n${expected}\n--- printed\n${actual}`);
  }
}
const passed = names.length - failed;
console.log(`examples: ${passed} passed, ${failed} failed`);
if (failed > 0) console.log(`The daemon wrote:\n${daemon.output()}`);
if (flags.json) await writeFile(flags.json, JSON.stringify({ numPassedTests: passed, numFailedTests: failed }));
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** @param {string} name */
function isShell(name) {
  return existsSync(join(folder, name, "main.sh"));
}

/**
 * @param {string} name
 * @returns {Promise<string>} What it printed, complaints and all; with the reason behind it when it failed.
 */
async function runExample(name) {
  const ours = { KSI_URL: daemon.url, KSI_TOKEN: daemon.token, KSI_DATA_DIR: dataDir.path, KSI_REDIS_URL: "" };
  const env = { ...process.env, ...ours };
  const options = { cwd: join(folder, name), env, timeout: TIMEOUT_MS };
  try {
    const [file, args] = isShell(name) ? ["bash", ["main.sh"]] : [process.execPath, ["main.ts"]];
    const { stdout, stderr } = await promisify(execFile)(file, args, options);
    // An example that complains is no example.
    return stdout + stderr;
  } catch (error) {
    const { stdout = "", message } = /** @type {Error & { stdout?: string }} */ (error);
    return `${stdout}${message}`; // the message holds stderr
  }
}
