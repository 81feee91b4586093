import { readFile } from "node:fs/promises";
import { errorCodes } from "@ksi/contract/errors";
import { expect, test } from "vitest";
import { exitCode, exitCodeOfRun, exitCodes } from "./exit-codes.ts";

test("every error code ends a command with a number that is not 0 and fits into an exit status", () => {
  for (const code of errorCodes) expect(exitCodes[code]).toBeGreaterThan(0);
  expect(Math.max(...Object.values(exitCode))).toBeLessThan(256);
});

test("a script can tell a run that failed from one that timed out, one that was cancelled and a daemon that is away", () => {
  const codes = [exitCodes.MODEL_ERROR, exitCodes.RUN_TIMED_OUT, exitCodes.RUN_CANCELLED, exitCodes.CONNECTION_LOST];
  expect(codes).toEqual([1, 124, 130, 3]);
});

test("what was wrong with a run that was accepted is no wrong usage", () => {
  for (const code of errorCodes) expect([1, 70, 124, 130]).toContain(exitCodeOfRun(code));
  const codes = ["MODEL_NOT_FOUND", "STORE_UNAVAILABLE", "INTERNAL", "RUN_TIMED_OUT", "RUN_CANCELLED"] as const;
  expect(codes.map(exitCodeOfRun)).toEqual([1, 1, 70, 124, 130]);
});

test("the README lists exactly the numbers of the table", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const listed = [...readme.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number));
  expect(listed).toEqual(Object.values(exitCode));
});
