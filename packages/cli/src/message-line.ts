/** One line about a message, for people. */
import type { Message } from "@ksi/client";
import type { Stream } from "./terminal.ts";

/** `10:02:11 alice → bob  DIRECT_MESSAGE  hello`. */
export function describeMessage(message: Message, out: Stream): string {
  const { timestamp, source, target, event_type } = message;
  const way = `${out.style("cyan", out.foreign(source))} → ${out.foreign(target ?? "everyone")}`;
  const type = out.style("dim", out.foreign(event_type));
  return `${out.style("dim", formatTime(timestamp))} ${way}  ${type}  ${out.foreign(textOf(message))}`;
}

/** What `ksi send "…"` wrote, or the JSON as it is; of an answer that is none, why. */
export function textOf({ payload, error }: Pick<Message, "payload" | "error">): string {
  if (error) return `failed: ${error.message}`;
  if (typeof payload === "string") return payload;
  const isText = typeof payload === "object" && payload !== null && !Array.isArray(payload);
  if (isText && typeof payload.content === "string" && Object.keys(payload).length === 1) return payload.content;
  return JSON.stringify(payload);
}

/** `10:02:11`. */
export function formatTime(timestamp: string): string {
  return new Date(timestamp).toLocaleTimeString("sv-SE");
}
