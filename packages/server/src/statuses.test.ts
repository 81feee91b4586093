/** Holds the statuses of the doors to PROTOCOL.md, which a test of the contract cannot: it knows no door. */
import { readFile } from "node:fs/promises";
import { errorCodes, KsiError } from "@ksi/contract";
import { restStatuses } from "@ksi/openapi/ksi";
import { openAiErrorResponse } from "@ksi/openapi/openai";
import { expect, test } from "vitest";

const protocol = await readFile(new URL("../../contract/PROTOCOL.md", import.meta.url), "utf8");

test("the statuses of REST and of the OpenAI routes are those that the protocol says", () => {
  const common = new Map(rowsOf("| code | tRPC | HTTP |").map(([code, , status]) => [code, Number(status)]));
  const others = new Map(rowsOf("| code | REST | OpenAI |").map(([code, ...statuses]) => [code, statuses.map(Number)]));
  for (const code of errorCodes) {
    const [rest, openAi] = others.get(code) ?? [common.get(code), common.get(code)];
    const served = [code, restStatuses[code], openAiErrorResponse(new KsiError(code, "No.")).status];
    expect(served).toEqual([code, rest, openAi]);
  }
  for (const [code, statuses] of others) expect(statuses).not.toEqual([common.get(code), common.get(code)]);
});

/** The rows of the table that has this header, as cells. */
function rowsOf(header: string): string[][] {
  const lines = protocol.split("\n");
  const start = lines.indexOf(header) + 2;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith("|"));
  expect([header, end > start && start > 1]).toEqual([header, true]);
  return lines.slice(start, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
