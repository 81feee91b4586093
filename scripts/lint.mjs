// `npm run lint`: runs every `lint:*` script of package.json, two at a time, and says one line about each. A check that
// fails shows what it printed.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";

const AT_ONCE = 2;

const { scripts } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
const checks = Object.keys(scripts).filter((name) => name.startsWith("lint:"));

// The checks that read dist must not read it while it is being written.
const results = [await run("build")];
if (results[0]) {
  const waiting = [...checks];
  const work = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) results.push(await run(name));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
process.exitCode = results.every(Boolean) ? 0 : 1;

/**
 * Runs a script of package.json without npm around it; its tools are on the PATH, since npm runs us.
 * @param {string} name
 * @returns {Promise<boolean>} Whether it succeeded.
 */
function run(name) {
  const startedMs = performance.now();
  const child = spawn(scripts[name], { shell: true, stdio: ["ignore", "pipe", "pipe"] });
  /** @type {Buffer[]} */
  const output = [];
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stderr.on("data", (chunk) => output.push(chunk));
  return new Promise((resolve) => {
    child.on("close", (code) => {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      console.log(`${code === 0 ? "ok    " : "FAILED"} ${name.padEnd(16)} ${seconds} s`);
      if (code !== 0) console.log(`\n${Buffer.concat(output).toString().trim()}\n`);
      resolve(code === 0);
    });
  });
}
