/** What the docs say holds: their TypeScript compiles, README's runs, and what they name exists. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createTempFolder, startDaemonProcess } from "@ksi/testing";
import { describe, expect, test } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const texts = await readAll(["*.md", "docs/**/*.md", "packages/*/*.md", "examples/*/*.md"]);
texts.delete("CHANGELOG.md"); // it may name what is gone

describe.each([...texts])("%s", (file, text) => {
  test("links to files that exist", () => {
    const targets = [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, target]) => target ?? "");
    expect(targets.filter((target) => !existsSync(join(root, dirname(file), target)))).toEqual([]);
  });

  test("names files that exist", () => {
    const paths = spans(text).filter((span) => /^(packages|scripts|docs|examples|\.ci)\/[\w./-]+$/.test(span));
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("names symbols that the source holds", async () => {
    const symbol = /^(?:[a-z]+[A-Z]\w*|[A-Z]+[a-z]\w*[A-Z]\w*|[A-Z]+(?:_[A-Z]+)+)(?:\(\))?$/;
    const named = spans(text).filter((span) => symbol.test(span));
    const source = [...(await sources())].join("\n");
    expect(named.filter((name) => !new RegExp(`\\b${name.replace("()", "")}\\b`).test(source))).toEqual([]);
  });

  test("names npm scripts that exist", async () => {
    const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name ?? "");
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

test("every TypeScript block compiles", async () => {
  await using folder = await createFolderInside();
  for (const [file, text] of texts) {
    for (const [index, block] of blocks(text).entries()) {
      const name = `${file.replaceAll(/\W/g, "-")}-${index + 1}.ts`;
      await writeFile(join(folder.path, name), `${declareMissing(block)}${block}\nexport {};\n`);
    }
  }
  const config = {
    extends: join(root, "tsconfig.test.json"),
    compilerOptions: { noUnusedLocals: false },
    include: ["*.ts"],
  };
  await writeFile(join(folder.path, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const { stdout } = await run(process.execPath, [tsc, "-p", folder.path]).catch((error) => error);
  expect(stdout).toBe("");
});

test("README's first TypeScript block runs against a daemon and prints the answer", async () => {
  await using dataDir = await createTempFolder();
  await using daemon = await startDaemonProcess({ dataDir: dataDir.path, env: { KSI_DEFAULT_MODEL: "echo" } });
  await using folder = await createFolderInside();
  const [block = ""] = blocks(texts.get("README.md") ?? "");
  const access = `const url = ${JSON.stringify(daemon.url)}, token = ${JSON.stringify(daemon.token)};\n`;
  const program = `${access}${block.replaceAll('"sonnet"', '"echo"')}\nawait ksi.close();\n`;
  await writeFile(join(folder.path, "readme.ts"), program);
  const { stdout } = await run(process.execPath, [join(folder.path, "readme.ts")], { timeout: 20_000 });
  expect(stdout).toBe("What is 2+2?");
});

async function readAll(patterns: string[]): Promise<Map<string, string>> {
  const exclude = (path: string) => path.includes("node_modules") || path.includes("dist");
  const files = await Array.fromAsync(glob(patterns, { cwd: root, exclude }));
  return new Map(
    await Promise.all(files.map(async (file) => [file, await readFile(join(root, file), "utf8")] as const)),
  );
}

async function sources(): Promise<Iterable<string>> {
  return (await readAll(["packages/*/src/**/*.ts", "scripts/*.mjs", "package.json"])).values();
}

/** What stands in backticks inside a line. */
function spans(text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span ?? "");
}

function blocks(text: string): string[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, block]) => block ?? "");
}

/** A block may take for granted where the daemon is, and a client to it. */
function declareMissing(block: string): string {
  const access = "declare const url: string, token: string;\n";
  const client = 'declare const ksi: import("@ksi/client").KsiClient;\n';
  return `${/const .*\b(url|token)\b.* =/.test(block) ? "" : access}${/\bksi =/.test(block) ? "" : client}`;
}

/** A folder inside the checkout, so that packages are found by name. */
async function createFolderInside(): Promise<AsyncDisposable & { path: string }> {
  await mkdir(join(root, ".cache"), { recursive: true });
  const path = await mkdtemp(join(root, ".cache/docs-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
