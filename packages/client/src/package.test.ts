/** What is published: the built files, which `npm run build` makes before tests run. */
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const dist = new URL("../dist/", import.meta.url);

async function readAll(extension: string): Promise<Map<string, string>> {
  const names = (await readdir(dist)).filter((name) => name.endsWith(extension));
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, dist), "utf8")] as const)),
  );
}

test("the built code takes values only from the contract's errors and from what runs in a browser", async () => {
  const files = await readAll(".js");
  expect(files.size).toBeGreaterThanOrEqual(12);
  const imports = [...files.values()].flatMap((code) => [
    ...code.matchAll(/\b(?:from|import)\s*\(?\s*"([^".][^"]*)"/g),
  ]);
  expect(new Set(imports.map(([, name]) => name))).toEqual(
    new Set(["@ksi/contract/errors", "@trpc/client", "@trpc/server/observable", "superjson"]),
  );
});

test("the built types name the router instead of holding a copy of it", async () => {
  const types = (await readAll(".d.ts")).get("api.d.ts") ?? "";
  expect(types).toContain("readonly trpc: TRPCClient<AppRouter>");
  expect(types).not.toMatch(/BuiltRouter|TRPCQueryProcedure|ZodObject/);
  expect(types.length).toBeLessThan(12_000);
});

test("nothing that only tests use is published", async () => {
  expect((await readdir(dist)).filter((name) => name.includes("test"))).toEqual([]);
});
