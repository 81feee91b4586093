/** Holds PROTOCOL.md to the code: its tables, its numbers, and that each test it names is there. */
import { readFile } from "node:fs/promises";
import { TRPCError } from "@trpc/server";
import { getHTTPStatusCodeFromError } from "@trpc/server/http";
import { expect, test } from "vitest";
import { errorCodes } from "./errors.ts";
import { limits } from "./limits.ts";
import { trpcCodes } from "./trpc.ts";

const root = new URL("../../../", import.meta.url);
const protocol = await readFile(new URL("../PROTOCOL.md", import.meta.url), "utf8");

/** The rows of the table that has this header, as cells. */
function table(header: string): string[][] {
  const lines = protocol.split("\n");
  const start = lines.indexOf(header) + 2;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith("|"));
  return lines.slice(start, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test("the table of error codes is complete and true", () => {
  const rows = errorCodes.map((code) => {
    const status = getHTTPStatusCodeFromError(new TRPCError({ code: trpcCodes[code] }));
    return [code, trpcCodes[code], String(status)];
  });
  expect(table("| code | tRPC | HTTP |")).toEqual(rows);
});

test("the table of limits is complete and true", () => {
  expect(table("| limit | value |")).toEqual(Object.entries(limits).map(([name, value]) => [name, String(value)]));
});

test("clauses are numbered without a hole", () => {
  const numbers = [...protocol.matchAll(/^(\d+)\.(\d+) /gm)].map(([, chapter, clause]) => [
    Number(chapter),
    Number(clause),
  ]);
  const chapters = [...protocol.matchAll(/^## (\d+)\. /gm)].map(([, chapter]) => Number(chapter));
  expect(chapters).toEqual(chapters.map((_, index) => index + 1));
  for (const chapter of chapters) {
    const clauses = numbers.filter(([of]) => of === chapter).map(([, clause]) => clause);
    expect(clauses.length).toBeGreaterThan(0);
    expect(clauses).toEqual(clauses.map((_, index) => index + 1));
  }
});

/** Each clause from its number to the next clause or chapter. */
const clauses = [...protocol.matchAll(/^(\d+\.\d+) [\s\S]*?(?=^\d+\.\d+ |^## |$(?![\s\S]))/gm)].map(
  ([text, number = ""]) => ({ number, text }),
);

/** Clauses that no test can hold, and why. */
const definitions: Record<string, string> = {
  "5.2": "it promises nothing: an order between channels that is there by chance breaks it as little as none",
};

test("each clause names the test that holds it, or is one of the few that promise nothing", () => {
  const numbered = [...protocol.matchAll(/^\d+\.\d+ /gm)];
  expect(clauses.map(({ number }) => `${number} `)).toEqual(numbered.map(([number]) => number));
  const withoutTest = clauses.filter(({ text }) => !text.includes("*Held by*")).map(({ number }) => number);
  expect(withoutTest).toEqual(Object.keys(definitions));
});

const named = [...protocol.matchAll(/^\*Held by\* (\S+): (.+)$/gm)].map(([, file = "", name = ""]) => ({ file, name }));

test("every line that names a test is read as one", () => {
  expect(named.length).toBe(protocol.split("\n").filter((line) => line.startsWith("*Held by*")).length);
  expect(named.length).toBeGreaterThan(100);
});

test.for(named)("$file has the test: $name", async ({ file, name }) => {
  const source = await readFile(new URL(file, root), "utf8");
  expect(source).toContain(`"${name}"`);
});
