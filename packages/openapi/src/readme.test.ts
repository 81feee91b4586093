import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the blocks of the README are, one after the other, a program that works", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block);
  expect(blocks).toHaveLength(2);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module-typescript", "--eval", blocks.join("\n")],
    { cwd: new URL("..", import.meta.url), env: { ...process.env, NODE_NO_WARNINGS: "1" }, timeout: 60_000 },
  );
  expect(stdout).toBe("{ text: 'Hello world! Hello world!' }\n[ '/greet/{name}' ] 200\n");
});

test("what the README says of trpc-to-openapi is held against it, line by line", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const [, table = ""] = /## Beside trpc-to-openapi\n(.*?)\n## /s.exec(readme) ?? [];
  const lines = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| |"));
  const tests = await readFile(new URL("rest/trpc-to-openapi.test.ts", import.meta.url), "utf8");
  expect(lines.filter((line) => !line.startsWith("| ---"))).toHaveLength(tests.match(/^test\(/gm)?.length ?? 0);
});
