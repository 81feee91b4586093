import type { RunEvent } from "@ksi/contract";
import { expect, test } from "vitest";
import { withoutRetracted } from "./retractions.ts";

const header = { id: "e", source: "ksi", timestamp: "2026-01-02T03:04:05.678Z", run_id: "r", session_id: "s" };
const text = (said: string): RunEvent => ({ ...header, event_type: "run.text", payload: { text: said } });
const retracted = (chars: number): RunEvent => ({ ...header, event_type: "run.retracted", payload: { chars } });
const retrying: RunEvent = { ...header, event_type: "run.retrying", payload: { attempt: 1, delay_ms: 1 } };

test("text is taken back over several events and nothing else is", () => {
  const events = [text("one "), text("two"), retrying, retracted(5), text("three")];
  expect(withoutRetracted(events)).toEqual([text("on"), text(""), retrying, text("three")]);
});

test("what lies before the events is left to be taken back there", () => {
  const events = [text("one"), retracted(5), retracted(4), text("two"), retracted(3)];
  expect(withoutRetracted(events)).toEqual([text(""), retracted(2), retracted(4), text("")]);
});
