/**
 * A wall that cannot fall is no wall: each rule of .dependency-cruiser.mjs is broken once, in a small house that looks
 * like ours, and has to be reported. On our own house the check has to have read every source file.
 */
import { execFile } from "node:child_process";
import { glob, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createTempFolder } from "@ksi/testing";
import { beforeAll, describe, expect, test } from "vitest";
import walls from "../.dependency-cruiser.mjs";

interface Cruise {
  modules: { source: string; dependencies: { module: string; dependencyTypes: string[] }[] }[];
  summary: { violations: { from: string; rule: { name: string } }[] };
}

const root = join(import.meta.dirname, "..");
const packages = ["contract", "core", "openapi", "server", "client", "cli", "console", "testing", "e2e"];
const strangers = ["ioredis", "bullmq", "ws", "zod"];

const clean: Record<string, string> = {
  "packages/contract/src/index.ts": 'export * from "zod";',
  "packages/core/src/index.ts": 'import type { Port } from "@ksi/contract"; await using port: Port = open();',
  "packages/core/src/redis/store.ts": 'import { Redis } from "ioredis"; export const redis = Redis;',
  "packages/core/src/store.test.ts":
    'import { until } from "@ksi/testing"; import "ioredis"; import "./redis/store.ts";',
  "packages/server/src/index.ts": 'import "@ksi/core"; import "@ksi/contract"; import "ws";',
  "packages/client/src/index.ts": 'import type { Port } from "@ksi/contract"; export type { Port };',
  "packages/client/dist/clean.js": 'import "@ksi/contract/errors";',
  "packages/cli/src/serve.ts":
    'import type { Daemon } from "@ksi/server"; export const serve = () => import("@ksi/server");',
  "packages/cli/dist/serve.js": 'export const serve = () => import("@ksi/server");',
  "examples/01-hello/main.ts": 'import "@ksi/client"; import "zod";',
};

/** Rule → the file that breaks it, and how. */
const faults: Record<string, [file: string, content: string]> = {
  "contract-may-import-only-strangers": ["packages/contract/src/fault.ts", 'import "@ksi/client";'],
  "core-may-import-only-contract": ["packages/core/src/fault.ts", 'export * from "@ksi/server";'],
  "client-may-import-only-contract": ["packages/client/src/fault.ts", 'import type { Core } from "@ksi/core";'],
  "openapi-may-import-only-contract": ["packages/openapi/src/fault.ts", 'import "@ksi/core";'],
  "console-may-import-only-client": ["packages/console/src/fault.ts", 'import "@ksi/contract";'],
  "server-may-import-only-contract-core-openapi": ["packages/server/src/fault.ts", 'await import("@ksi/client");'],
  "cli-may-import-only-contract-client-server": ["packages/cli/src/fault.ts", 'import "@ksi/core";'],
  "testing-may-import-only-strangers": ["packages/testing/src/fault.ts", 'import "@ksi/contract";'],
  "client-loads-only-the-errors-of-contract": ["packages/client/dist/fault.js", 'import "@ksi/contract";'],
  "cli-names-server-only-in-serve-worker-and-config": ["packages/cli/src/late.ts", 'await import("@ksi/server");'],
  "cli-loads-server-late": ["packages/cli/dist/worker.js", 'import "@ksi/server";'],
  "only-redis-facing-modules-know-redis": ["packages/core/src/usage.ts", 'import { Redis } from "ioredis";'],
  "core-knows-no-transport": ["packages/core/src/door.ts", 'import { createServer } from "node:http";'],
  "openapi-knows-no-transport": ["packages/openapi/src/openai/door.ts", 'import { createServer } from "node:http";'],
  "the-rest-handler-knows-no-ksi": ["packages/openapi/src/rest/fault.ts", 'import "@ksi/contract";'],
  "contract-starts-nothing": ["packages/contract/src/starts.ts", 'import { spawn } from "node:child_process";'],
  "packages-are-entered-by-name": ["packages/server/src/path.ts", 'import "../../core/src/index.ts";'],
  "examples-import-what-a-stranger-can-install": [
    "examples/01-hello/fault.tsx",
    'import "@ksi/core"; export const Page = () => <p>hello</p>;',
  ],
  "nothing-imports-a-test": ["packages/core/src/other.test.ts", 'import "./store.test.ts";'],
  "what-tests-share-stays-in-tests": ["packages/core/src/helper.ts", 'import { until } from "@ksi/testing";'],
  "no-cycles": ["packages/core/src/egg.ts", 'import "./hen.ts";'],
  "every-import-is-found": ["packages/core/src/lost.ts", 'import "@ksi/core/not-there";'],
};

async function cruise(folder: string): Promise<Cruise> {
  const tool = join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const args = [
    tool,
    "--config",
    join(root, ".dependency-cruiser.mjs"),
    "--output-type",
    "json",
    "packages",
    "examples",
  ];
  // The tool exits with the number of faults, and its report is on stdout all the same.
  const options = { cwd: folder, maxBuffer: 2 ** 26 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options).catch((error) => error);
  return JSON.parse(stdout);
}

async function build(folder: string, files: Record<string, string>): Promise<void> {
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), content);
  }
}

/** The outside of the packages: their names, what they export, and links to them as npm makes them. */
async function buildHouse(folder: string): Promise<void> {
  await mkdir(join(folder, "node_modules/@ksi"), { recursive: true });
  for (const name of packages) {
    const exports =
      name === "contract" ? { ".": "./dist/index.js", "./errors": "./dist/errors.js" } : "./dist/index.js";
    await build(folder, {
      [`packages/${name}/package.json`]: JSON.stringify({ name: `@ksi/${name}`, type: "module", exports }),
      [`packages/${name}/dist/index.js`]: "export const a = 1;",
      [`packages/${name}/dist/errors.js`]: "export const a = 1;",
    });
    await symlink(`../../packages/${name}`, join(folder, `node_modules/@ksi/${name}`));
  }
  for (const name of strangers) {
    await build(folder, {
      [`node_modules/${name}/package.json`]: JSON.stringify({ name, exports: "./index.js" }),
      [`node_modules/${name}/index.js`]: "export const a = 1;",
    });
  }
  await build(folder, { "package.json": JSON.stringify({ workspaces: ["packages/*", "examples/*"] }), ...clean });
}

describe("a small house", () => {
  test("is not reported while every import is allowed", async () => {
    await using folder = await createTempFolder();
    await buildHouse(folder.path);
    const { modules, summary } = await cruise(folder.path);
    expect(summary.violations).toEqual([]);
    expect(modules.map(({ source }) => source)).toEqual(expect.arrayContaining(Object.keys(clean)));
  });

  test("is told of every import that the manifest of its package does not list", async () => {
    await using folder = await createTempFolder();
    await buildHouse(folder.path);
    const manifest = { name: "@ksi/core", dependencies: { "@ksi/contract": "*" }, devDependencies: { ioredis: "*" } };
    await build(folder.path, {
      "packages/core/package.json": JSON.stringify(manifest),
      "packages/core/src/fault.ts": 'import "node:fs"; import "@ksi/core"; import "vitest"; import "zod/mini";',
      "examples/01-hello/package.json": JSON.stringify({ peerDependencies: { "@ksi/client": "*" } }),
    });
    const all = await unlisted(folder.path, await cruise(folder.path));
    expect(all.filter((line) => line.startsWith("packages/core ") || line.startsWith("examples/"))).toEqual([
      "examples/01-hello imports zod",
      "packages/core imports @ksi/testing",
      "packages/core imports zod",
    ]);
  });

  describe("with one fault for every rule", () => {
    let violations: Cruise["summary"]["violations"] = [];

    beforeAll(async () => {
      await using folder = await createTempFolder();
      await buildHouse(folder.path);
      await build(folder.path, {
        "packages/core/src/hen.ts": 'import "./egg.ts";',
        ...Object.fromEntries(Object.values(faults)),
      });
      violations = (await cruise(folder.path)).summary.violations;
    });

    for (const { name } of walls.forbidden) {
      test(`is reported for ${name}`, () => {
        expect(faults).toHaveProperty(name);
        expect(violations).toContainEqual(
          expect.objectContaining({ from: faults[name]?.[0], rule: expect.objectContaining({ name }) }),
        );
      });
    }
  });
});

describe("in our own house", () => {
  let ours: Cruise;

  beforeAll(async () => {
    ours = await cruise(root);
  });

  test("every source file is read", async () => {
    const read = new Set(ours.modules.map(({ source }) => source));
    const files = await Array.fromAsync(glob("{packages,examples}/*/src/**/*.{ts,tsx}", { cwd: root }));
    expect(files.length).toBeGreaterThan(100);
    expect(files.some((file) => file.endsWith(".tsx"))).toBe(true);
    expect(files.filter((file) => !read.has(file))).toEqual([]);
  });

  // knip takes it that a private package may import all of ours, everybody what the root lists, and each what is only
  // a peer of something listed.
  test("every package lists what it imports, its tests included", async () => {
    expect(await unlisted(root, ours)).toEqual([]);
  });
});

/** `packages/x imports y`, for each stranger or package of ours that is not in the manifest of whoever imports it. */
async function unlisted(folder: string, { modules }: Cruise): Promise<string[]> {
  const lines = new Set<string>();
  for (const { source, dependencies } of modules) {
    const [owner] = /^(packages|examples)\/[^/]+/.exec(source) ?? [];
    if (!owner || source.includes("/dist/")) continue;
    const listed = await namesIn(join(folder, owner, "package.json"));
    for (const { module, dependencyTypes } of dependencies) {
      if (module.startsWith(".") || dependencyTypes.includes("core")) continue;
      const [name = module] = /^(@[^/]+\/)?[^/]+/.exec(module) ?? [];
      if (!listed.has(name)) lines.add(`${owner} imports ${name}`);
    }
  }
  return [...lines].sort();
}

/** With its own name, and with vitest, which runs all tests from the root. */
async function namesIn(manifest: string): Promise<Set<string>> {
  const { name, dependencies, devDependencies, peerDependencies } = JSON.parse(await readFile(manifest, "utf8"));
  return new Set([name, "vitest", ...Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })]);
}
