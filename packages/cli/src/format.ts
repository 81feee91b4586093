/** Numbers, times and tables as people like to read them. Pure functions. */
import { stripVTControlCharacters } from "node:util";
import type { Usage } from "@ksi/client";

/** `430 ms`, `12.3 s`, `2 m 05 s`, `1 h 02 m`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} m ${pad(whole % 60)} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m`;
}

/** How long ago: `now`, `12 s`, `5 m`, `3 h`, `2 d`. */
export function formatAge(timestamp: string, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(timestamp)) / 1_000));
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `812`, `3.4k`, `120k`, `1.2M`. @internal for its test */
export function formatCount(count: number): string {
  if (count < 1_000) return String(count);
  if (count < 9_950) return `${(count / 1_000).toFixed(1)}k`;
  if (count < 999_500) return `${Math.round(count / 1_000)}k`;
  return `${(count / 1_000_000).toFixed(1)}M`;
}

/** `3.4k in, 210 out`; what was read from or written to the provider's cache counts as input. */
export function formatTokens(usage: Usage): string {
  const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
  return `${formatCount(usage.input_tokens + cached)} in, ${formatCount(usage.output_tokens)} out`;
}

/** `$1.20`, `$0.0042`: two digits that say something. */
export function formatCost(dollars: number): string {
  if (dollars === 0) return "$0";
  if (dollars < 0.0001) return "<$0.0001";
  return `$${dollars.toFixed(dollars < 0.1 ? 4 : 2)}`;
}

/** `18.2 MB`. */
export function formatBytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Rows under headings, each column as wide as its widest cell, two spaces between. Ends without a line break. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => widest(all.map((row) => row[column] ?? "")));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - visibleLength(cell)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Columns that its longest line takes. */
export function tableWidth(table: string): number {
  return widest(table.split("\n"));
}

/** At most `max` characters on one line; longer text ends in an ellipsis. */
export function shorten(text: string, max: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  if (line.length <= max) return line;
  // Half of a surrogate pair is no character.
  return `${line.slice(0, Math.max(0, max - 1)).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * Text from elsewhere without the control characters that could drive the reader's terminal (move the cursor, set the
 * clipboard, rewrite what was printed). Line breaks and tabs stay.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this removes.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}

/** Without colours. */
export function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** One by one: there may be more than a call takes arguments. */
function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, visibleLength(text)), 0);
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
