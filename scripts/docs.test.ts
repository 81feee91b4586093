/** What the docs say holds: their TypeScript compiles, README's runs, and what they name exists. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createClaudeStandIn, createTempFolder, type DaemonProcess, startDaemonProcess } from "@ksi/testing";
import { describe, expect, test } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const texts = await readAll(["*.md", "docs/**/*.md", "packages/*/*.md", "examples/**/*.md"]);
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

describe("README's ways to use it run as they stand", () => {
  test("the TypeScript client", async () => {
    await using daemon = await startDaemonWithClaude();
    expect(await runProgram(`${readmeBlock("ts", "@ksi/client")}\nawait ksi.close();\n`, daemon)).toBe("What is 2+2?");
  });

  test("agents that ask and answer", async () => {
    await using daemon = await startDaemonWithClaude();
    const connect = 'import { createKsiClient } from "@ksi/client";\nconst ksi = createKsiClient({ url, token });\n';
    const program = `${connect}${readmeBlock("ts", "agents.join")}\nawait ksi.close();\n`;
    expect(await runProgram(program, daemon)).toBe("adder 42\n");
  });

  test("REST by curl", async () => {
    await using daemon = await startDaemonWithClaude();
    const env = { ...process.env, url: daemon.url, token: daemon.token };
    const script = ["-euo", "pipefail", "-c", readmeBlock("sh", "curl")];
    const { stdout } = await run("bash", script, { env, timeout: 60_000 });
    const lines = stdout.trim().split("\n");
    const events = lines
      .filter((line) => line.startsWith("data: "))
      .map((line) => JSON.parse(line.slice(6)).event_type);
    expect(events).toEqual(expect.arrayContaining(["run.queued", "run.started", "run.text", "run.completed"]));
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ status: "completed", result: "What is 2+2?" });
  });

  test("the openai SDK, told where by the program or by the environment", async () => {
    await using daemon = await startDaemonWithClaude();
    const program = readmeBlock("ts", 'from "openai"');
    expect(await runProgram(program, daemon)).toBe("What is 2+2?");
    const env = { OPENAI_BASE_URL: `${daemon.url}/v1`, OPENAI_API_KEY: daemon.token };
    expect(await runProgram(program.replace(/new OpenAI\(.*\)/, "new OpenAI()"), daemon, env)).toBe("What is 2+2?");
  });

  function readmeBlock(language: string, part: string): string {
    const block = blocks(texts.get("README.md") ?? "", language).find((text) => text.includes(part));
    if (block === undefined) throw new Error(`README.md has no block of ${language} with ${part}.`);
    return block;
  }
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

function blocks(text: string, language = "ts"): string[] {
  const fences = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...text.matchAll(fences)].map(([, block]) => block ?? "");
}

/** A block may take for granted where the daemon is, a client to it, and the router or the import of a block before it. */
function declareMissing(block: string): string {
  const access = "declare const url: string, token: string;\n";
  const client = 'declare const ksi: import("@ksi/client").KsiClient;\n';
  const router = 'declare const router: import("@trpc/server").AnyTRPCRouter;\n';
  const zod = 'import { z } from "zod";\n';
  return [
    /\bz\./.test(block) && !block.includes(zod.trim()) ? zod : "",
    /const .*\b(url|token)\b.* =/.test(block) ? "" : access,
    /\bksi =/.test(block) ? "" : client,
    /\brouter =/.test(block) ? "" : router,
  ].join("");
}

/** A daemon whose `sonnet` answers with its prompt. */
async function startDaemonWithClaude(): Promise<DaemonProcess> {
  await using stack = new AsyncDisposableStack();
  const dataDir = stack.use(await createTempFolder());
  const claude = stack.use(await createClaudeStandIn());
  const daemon = stack.use(await startDaemonProcess({ dataDir: dataDir.path, env: { KSI_CLAUDE_BIN: claude.bin } }));
  const owned = stack.move();
  return { ...daemon, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What the program prints that takes for granted where the daemon is. */
async function runProgram(
  program: string,
  { url, token }: DaemonProcess,
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  await using folder = await createFolderInside();
  const file = join(folder.path, "program.ts");
  await writeFile(file, `const [url, token] = ${JSON.stringify([url, token])};\n${program}`);
  return (await run(process.execPath, [file], { env: { ...process.env, ...env }, timeout: 60_000 })).stdout;
}

/** A folder inside the checkout, so that packages are found by name. */
async function createFolderInside(): Promise<AsyncDisposable & { path: string }> {
  await mkdir(join(root, ".cache"), { recursive: true });
  const path = await mkdtemp(join(root, ".cache/docs-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}
