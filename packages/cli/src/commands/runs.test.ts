import type { Run } from "@ksi/client";
import { expect, test } from "vitest";
import { createRecordedTerminal } from "../testing/recorded-terminal.ts";
import { formatRuns } from "./runs.ts";

const run: Run = {
  run_id: "11111111-9a4d-4e6f-8b7a-1c2d3e4f5a6b",
  session_id: "22222222-9a4d-4e6f-8b7a-1c2d3e4f5a6b",
  status: "completed",
  model: "sonnet",
  priority: 50,
  timeout_ms: 300_000,
  created_at: "2026-01-10T12:00:00.000Z",
  duration_ms: 3_210,
};
const format = (isTty: boolean, columns?: number) => {
  const { out } = createRecordedTerminal({ out: isTty, err: isTty });
  return formatRuns([run], { ...out, columns }, Date.parse("2026-01-10T12:05:00.000Z"));
};

test("a terminal that is narrower than the table gets the beginnings of the ids", () => {
  const [, row = ""] = format(true, 80).split("\n");
  expect(row).toBe("11111111  22222222  completed  sonnet  5 m  3.2 s");
});

test("a wide terminal and a pipe get whole ids", () => {
  for (const table of [format(true, 200), format(false)]) {
    expect(table).toContain(`${run.run_id}  ${run.session_id}  completed`);
  }
});
