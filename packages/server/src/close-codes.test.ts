/** Holds the close codes to PROTOCOL.md, which a test of the contract cannot: it knows no door. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { closeCodes, errorCloseBase } from "./close-codes.ts";

const protocol = await readFile(new URL("../../contract/PROTOCOL.md", import.meta.url), "utf8");

test("the table of close codes is complete and true", () => {
  const [, table = ""] = protocol.split("| code | meaning | what a client does |\n");
  const told = [...(table.split("\n\n")[0]?.matchAll(/^\| (\d.*?) \|/gm) ?? [])].map(([, code]) => code);
  // 1000 is RFC 6455's own, and means here what it means there.
  const { done, ...ours } = closeCodes;
  expect(done).toBe(1000);
  expect(told).toEqual([...Object.values(ours).map(String), `${errorCloseBase} + status`]);
});
