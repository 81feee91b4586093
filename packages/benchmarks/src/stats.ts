export interface Summary {
  n: number;
  median: number;
  p99: number;
  min: number;
  max: number;
}

/** Median, p99 (nearest rank), extremes; three decimals. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = (p: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN);
  return { n: sorted.length, median: rank(0.5), p99: rank(0.99), min: rank(1 / sorted.length), max: rank(1) };
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Milliseconds of the machine's monotonic clock, the same for all its processes (on Linux, since it was booted). */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Epoch milliseconds with a fraction, comparable between processes of one machine. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
