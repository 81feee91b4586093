/**
 * How every list of things is printed, one a line. A terminal gets headings, and lines that fit it, since those that wrap
 * cannot be compared. A pipe gets no headings, so that each line is a thing, and all of each.
 */
import { formatTable, shorten, visibleLength } from "./format.ts";
import type { Stream } from "./terminal.ts";

export interface List {
  readonly headings: readonly string[];
  /** A cell for each heading. */
  readonly rows: readonly (readonly string[])[];
  /** Headings of the columns that give way where the terminal is too narrow: text without colours. */
  readonly cut?: readonly string[] | undefined;
}

/** So much of a text is left however narrow the terminal is: the line wraps rather than say nothing. */
const leastWidth = 12;
const blanksBetween = 2;

/** Ends without a line break. */
export function formatList(list: List, out: Stream): string {
  const { headings, rows, cut = [] } = list;
  if (!out.isTty) {
    const lines = rows.map((row) => row.map(onOneLine));
    return formatTable(lines[0] ?? [], lines.slice(1));
  }
  const widths = shareRoom(list, out);
  const isCut = headings.map((heading) => cut.includes(heading));
  return formatTable(
    headings.map((heading) => out.style("dim", heading)),
    rows.map((row) => row.map((cell, i) => (isCut[i] ? shorten(cell, widths[i] ?? 0) : cell))),
  );
}

/** How wide each column may be: those that give way share what the others leave, and none takes more than it needs. */
function shareRoom({ headings, rows, cut = [] }: List, out: Stream): number[] {
  const widths = headings.map((heading, i) =>
    rows.reduce((widest, row) => Math.max(widest, visibleLength(row[i] ?? "")), heading.length),
  );
  const giving = [...headings.keys()]
    .filter((i) => cut.includes(headings[i] ?? ""))
    .sort((a, b) => (widths[a] ?? 0) - (widths[b] ?? 0));
  const given = giving.reduce((sum, i) => sum + (widths[i] ?? 0), 0);
  const taken = widths.reduce((sum, width) => sum + width, 0) - given;
  // Some terminals say that they have no columns.
  const room = out.columns || Number.POSITIVE_INFINITY;
  let left = room - taken - blanksBetween * (headings.length - 1);
  for (const [place, i] of giving.entries()) {
    const share = Math.max(leastWidth, Math.floor(left / (giving.length - place)));
    widths[i] = Math.min(widths[i] ?? 0, share);
    left -= widths[i] ?? 0;
  }
  return widths;
}

function onOneLine(text: string): string {
  return text.replace(/\s*[\r\n]\s*/g, " ");
}
