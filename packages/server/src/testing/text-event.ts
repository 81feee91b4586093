import type { RunEvent } from "@ksi/contract";

export const run = { run_id: "run-1", session_id: "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b" };

export function textEvent(text: string): RunEvent {
  return {
    id: "e",
    source: "ksi",
    timestamp: "2026-01-01T00:00:00.000Z",
    ...run,
    event_type: "run.text",
    payload: { text },
  };
}
