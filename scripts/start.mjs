// `npm start`: builds what `ksi` is made of, then becomes `ksi serve` (arguments after `--` are passed on).
//
// The script in package.json says `exec`, since a shell in between would be killed by the Ctrl-C that npm passes on, and
// npm would then return before the daemon has drained.
//
// `tsc -b` with nothing to do takes a twentieth of a second, so whether anything changed is left for it to find out.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** @param {string} relative */
const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

if (!existsSync(path("packages/cli/dist/main.js"))) console.error("Building KSI, which the first start has to do …");

const tsc = path("node_modules/typescript/bin/tsc");
const build = spawnSync(process.execPath, [tsc, "-b", path("packages/cli")], { stdio: "inherit" });

if (build.status === 0) {
  process.argv.splice(1, 1, path("packages/cli/bin/ksi.js"), "serve");
  await import("../packages/cli/bin/ksi.js");
} else {
  console.error("The build failed, so the daemon was not started.");
  process.exitCode = build.status ?? 1;
}
