const format = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** Of a timestamp, such as `14:03:07`, as is usual where the reader is. */
export function clock(timestamp: string): string {
  return format.format(new Date(timestamp));
}

/** From one timestamp to another, such as `12 ms` or `3.5 s`. */
export function duration(from: string, to: string): string {
  const ms = Math.max(0, Date.parse(to) - Date.parse(from));
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
