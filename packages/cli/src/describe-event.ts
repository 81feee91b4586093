/** One line about an event of a run, for people. */
import type { Json, RunEvent } from "@ksi/client";
import { formatCost, formatDuration, formatTokens, shorten } from "./format.ts";

/** One of the four events after which a run says nothing more. */
export type FinalRunEvent = Extract<
  RunEvent,
  { event_type: "run.completed" | "run.failed" | "run.cancelled" | "run.timed_out" }
>;
type Completed = Extract<RunEvent, { event_type: "run.completed" }>;
type ToolUse = Extract<RunEvent, { event_type: "run.tool_use" }>;

/** Complete by type. */
const finals: Record<FinalRunEvent["event_type"], true> = {
  "run.completed": true,
  "run.failed": true,
  "run.cancelled": true,
  "run.timed_out": true,
};

export function isFinalEvent(event: RunEvent): event is FinalRunEvent {
  return event.event_type in finals;
}

/** `claude-sonnet-4 · 3.2 s · 3.4k in, 210 out · $0.0123`; what is not known is left out. */
export function describeCompletion({ payload }: Completed): string {
  const { model, duration_ms, usage, cost_usd } = payload;
  const parts = [
    model,
    formatDuration(duration_ms),
    usage && `${formatTokens(usage)} tokens`,
    cost_usd === undefined ? undefined : formatCost(cost_usd),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** `Bash  ls -la`: the tool, and the part of its input that says the most. */
export function describeToolUse({ payload }: ToolUse, width: number): string {
  const subject = shorten(subjectOf(payload.input), Math.max(20, width - payload.name.length - 4));
  return subject ? `${payload.name}  ${subject}` : payload.name;
}

/** The daemon speaks to all its clients; what it calls `timeout_ms` is an option here. */
export function describeError({ code, message }: { code: string; message: string }): string {
  return code === "RUN_TIMED_OUT" ? message.replace(/\btimeout_ms\b/, "--timeout") : message;
}

const tellingFields = ["command", "file_path", "path", "pattern", "url", "query", "description", "prompt"];

function subjectOf(input: Json): string {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return JSON.stringify(input);
  const field = tellingFields.find((name) => typeof input[name] === "string");
  if (field) return String(input[field]);
  return Object.keys(input).length === 0 ? "" : JSON.stringify(input);
}
