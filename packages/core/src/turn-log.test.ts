import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "@ksi/contract";
import { createTempFolder } from "@ksi/testing";
import { expect, test } from "vitest";
import { createTurnLog } from "./turn-log.ts";

test("a result nested deeper than can be written costs its line, and neither the run nor later lines", async () => {
  await using folder = await createTempFolder();
  const errors: object[] = [];
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void errors.push(fields) };
  const turnLog = createTurnLog(folder.path, log);
  const run = { run_id: "run-1", session_id: "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b" };
  const deep = JSON.parse(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`) as JsonObject;
  turnLog.agent(run, "claude", deep);
  turnLog.agent(run, "claude", { result: "4" });
  await turnLog.close();
  const text = await readFile(join(folder.path, `${run.session_id}.jsonl`), "utf8");
  expect(JSON.parse(text)).toMatchObject({ type: "claude", result: "4" });
  expect(errors).toMatchObject([{ run_id: "run-1" }]);
});
