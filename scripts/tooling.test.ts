/** The launcher, `npm start`, and checks that could pass because they never looked. */
import { execFile, spawn } from "node:child_process";
import { glob, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createTempFolder, until } from "@ksi/testing";
import { expect, test } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const tsc = join(root, "node_modules/typescript/bin/tsc");

test("every test and type test is type-checked", async () => {
  const args = [tsc, "-p", join(root, "tsconfig.test.json"), "--listFilesOnly"];
  const { stdout } = await run(process.execPath, args, { maxBuffer: 2 ** 26 });
  const compiled = new Set(stdout.trim().split("\n"));
  const files = await Array.fromAsync(glob("{packages/*/src/**,scripts}/*.{test,test-d}.ts", { cwd: root }));
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => !compiled.has(join(root, file)))).toEqual([]);
});

test("a type test that does not hold fails", async () => {
  await using folder = await createFolderInside();
  const include = ["*.test-d.ts"];
  const test = {
    include: [],
    passWithNoTests: true,
    typecheck: { only: true, enabled: true, include, tsconfig: "tsconfig.json" },
  };
  await writeFile(join(folder.path, "vitest.config.ts"), `export default { test: ${JSON.stringify(test)} };`);
  await writeFile(join(folder.path, "tsconfig.json"), JSON.stringify({ extends: "../../tsconfig.test.json", include }));
  const fault =
    'import { expectTypeOf, test } from "vitest";\ntest("a fault", () => { expectTypeOf(1).toEqualTypeOf<string>(); });\n';
  await writeFile(join(folder.path, "fault.test-d.ts"), fault);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const result = await run(process.execPath, [vitest, "run"], { cwd: folder.path }).catch((error) => error);
  expect(result.code).toBe(1);
  expect(result.stdout).toContain("a fault");
});

test("a promise that nobody waits for is reported, in source and in tests", async () => {
  const oxlint = join(root, "node_modules/oxlint/bin/oxlint");
  await using folder = await createTempFolder();
  await mkdir(join(folder.path, "packages/core/src"), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder.path, "node_modules"));
  const configs = ["tsconfig.base.json", "tsconfig.test.json", "tsconfig.json", "packages/core/tsconfig.json"];
  for (const file of [".oxlintrc.json", ...configs]) {
    const text = await readFile(join(root, file), "utf8");
    const withoutPackages = text.replaceAll(/\{\s*"path": "(packages|examples|\.\.)\/[\w-]+"\s*\},?/g, "");
    await writeFile(join(folder.path, file), withoutPackages);
  }
  const faults = ["packages/core/src/fault.ts", "packages/core/src/fault.test.ts"];
  for (const file of faults) {
    await writeFile(join(folder.path, file), "async function forgotten(): Promise<void> {}\nforgotten();\n");
  }
  const args = [oxlint, "--type-aware", "--format=unix", "packages"];
  const result = await run(process.execPath, args, { cwd: folder.path }).catch((error) => error);
  for (const file of faults) expect(result.stdout).toContain(`${file}:2:1: `);
  expect(result.stdout).toContain("2 problems");
});

test("npm start becomes a daemon, and one Ctrl-C stops it in order although npm passes it on as well", async () => {
  await using dataDir = await createTempFolder();
  const args = ["start", "--", "--port", "0", "--data-dir", dataDir.path];
  const npm = spawn("npm", args, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk) => (output += chunk));
  const exited = new Promise((resolve) => npm.on("exit", (code, signal) => resolve(code ?? signal)));
  try {
    await until(() => output.includes("is ready."), { deadlineMs: 60_000, message: "the banner" });
    signalGroup(npm.pid, "SIGINT"); // as a terminal does
    expect(await exited).toBe(0);
    expect(output).toContain("Stopped.");
  } finally {
    if (npm.exitCode === null) signalGroup(npm.pid, "SIGKILL");
  }
});

test("every published package carries the licence", async () => {
  const licence = await readFile(join(root, "LICENSE"), "utf8");
  const copies = await Array.fromAsync(glob("packages/*/LICENSE", { cwd: root }));
  expect(copies.length).toBeGreaterThanOrEqual(5);
  for (const copy of copies) expect(await readFile(join(root, copy), "utf8")).toBe(licence);
});

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid !== undefined) process.kill(-pid, signal);
}

async function createFolderInside(): Promise<AsyncDisposable & { path: string }> {
  const path = join(root, ".cache", `tooling-${process.pid}`);
  await mkdir(path, { recursive: true });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
