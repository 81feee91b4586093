/** A run's events as a log for people: one line an event, the pieces of a text joined. */
import type { RunEvent } from "@ksi/client";
import { describeCompletion, describeError, describeToolUse } from "./describe-event.ts";
import { formatDuration, shorten } from "./format.ts";
import type { Stream, Style } from "./terminal.ts";

/** Writes to `out`; text stands between the lines as the agent wrote it. */
export function createLogView(out: Stream): (event: RunEvent) => void {
  let isMidLine = false;

  return (event) => {
    if (event.event_type === "run.text") {
      out.write(out.foreign(event.payload.text));
      isMidLine = !event.payload.text.endsWith("\n");
      return;
    }
    const entry = describeRunEvent(event, out.columns ?? 120);
    if (!entry) return;
    if (isMidLine) out.line();
    isMidLine = false;
    const time = new Date(event.timestamp).toLocaleTimeString("sv-SE");
    const name = out.style(entry.style, entry.name.padEnd(10));
    out.line(`${out.style("dim", time)} ${name} ${out.foreign(entry.text)}`.trimEnd());
  };
}

/** What is said of one event: its name, and text without a line break. */
interface Entry {
  name: string;
  style: Style;
  text: string;
}

/** Undefined for what is not worth a line. */
export function describeRunEvent(
  event: Exclude<RunEvent, { event_type: "run.text" }>,
  columns: number,
): Entry | undefined {
  const room = columns - 22;
  switch (event.event_type) {
    case "run.queued":
      return { name: "queued", style: "dim", text: `${event.payload.model} · session ${event.session_id}` };
    case "run.started": {
      const { model, runner, attempt } = event.payload;
      const again = attempt > 1 ? `, attempt ${attempt}` : "";
      return { name: "started", style: "cyan", text: `${model} by runner ${runner}${again}` };
    }
    case "run.requeued":
      return { name: "requeued", style: "yellow", text: event.payload.reason };
    case "run.retracted": {
      const text = `the last ${event.payload.chars} characters; the provider broke off, and the agent says it anew`;
      return { name: "retracted", style: "yellow", text };
    }
    case "run.thinking":
      return undefined;
    case "run.tool_use":
      return { name: "tool", style: "cyan", text: describeToolUse(event, room) };
    case "run.tool_result": {
      const { is_error, content } = event.payload;
      const text = shorten(content, room);
      return { name: is_error ? "tool error" : "tool done", style: is_error ? "red" : "dim", text };
    }
    case "run.retrying": {
      const { attempt, delay_ms, status } = event.payload;
      const text = `attempt ${attempt + 1} in ${formatDuration(delay_ms)}${status ? ` (provider: ${status})` : ""}`;
      return { name: "retrying", style: "yellow", text };
    }
    case "run.permission_denied":
      return { name: "denied", style: "yellow", text: event.payload.tool_name };
    case "run.completed":
      return { name: "completed", style: "green", text: describeCompletion(event) };
    case "run.failed":
      return { name: "failed", style: "red", text: describeFailure(event.payload.error) };
    case "run.cancelled":
      return { name: "cancelled", style: "yellow", text: describeFailure(event.payload.error) };
    case "run.timed_out":
      return { name: "timed out", style: "yellow", text: describeFailure(event.payload.error) };
    default:
      return event satisfies never;
  }
}

function describeFailure(error: { code: string; message: string }): string {
  return `${error.code}: ${describeError(error)}`;
}
