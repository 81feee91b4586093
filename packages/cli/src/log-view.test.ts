import type { RunEvent } from "@ksi/client";
import { expect, test } from "vitest";
import { createLogView } from "./log-view.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

test("a log joins the pieces of a text and gives every other event a line of its own", () => {
  const { out, text } = createRecordedTerminal();
  const show = createLogView(out);
  const header = { id: "e", source: "ksi", timestamp: "2026-01-10T12:00:00.000Z", run_id: "r", session_id: "s" };
  const started = { model: "sonnet", runner: "claude", worker_id: "w", attempt: 2 };
  const error = { code: "RUNNER_CRASHED" as const, message: "The agent ended." };
  const events: RunEvent[] = [
    { ...header, event_type: "run.started", payload: started },
    { ...header, event_type: "run.text", payload: { text: "Let me " } },
    { ...header, event_type: "run.text", payload: { text: "look." } },
    {
      ...header,
      event_type: "run.tool_use",
      payload: { tool_use_id: "t", name: "Read", input: { file_path: "a.ts" } },
    },
    { ...header, event_type: "run.retracted", payload: { chars: 5 } },
    { ...header, event_type: "run.failed", payload: { error } },
  ];
  for (const event of events) show(event);
  const withoutTimes = text.out.replace(/^\d\d:\d\d:\d\d /gm, "");
  expect(withoutTimes).toBe(
    "started    sonnet by runner claude, attempt 2\n" +
      "Let me look.\n" +
      "tool       Read  a.ts\n" +
      "retracted  the last 5 characters; the provider broke off, and the agent says it anew\n" +
      "failed     RUNNER_CRASHED: The agent ended.\n",
  );
});

test("control characters of an agent and its tools reach a pipe, and no terminal", () => {
  const header = { id: "e", source: "ksi", timestamp: "2026-01-10T12:00:00.000Z", run_id: "r", session_id: "s" };
  const events: RunEvent[] = [
    { ...header, event_type: "run.text", payload: { text: "\u001b[2Jhi\n" } },
    { ...header, event_type: "run.tool_result", payload: { tool_use_id: "t", content: "\u009b2Jok", is_error: false } },
  ];
  const shown = (isTty: boolean) => {
    const { out, text } = createRecordedTerminal({ out: isTty, err: isTty });
    const show = createLogView(out);
    for (const event of events) show(event);
    return text.out.replace(/\d\d:\d\d:\d\d /, "");
  };
  expect(shown(false)).toBe("\u001b[2Jhi\ntool done  \u009b2Jok\n");
  expect(shown(true)).toBe("[2Jhi\ntool done  2Jok\n");
});
