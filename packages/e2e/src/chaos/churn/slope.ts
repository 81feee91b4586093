/** The straight line through values that came one after the other, by least squares. */
export interface Line {
  /** From one value to the next. */
  readonly slope: number;
  readonly mean: number;
  /** By how much the line rises from the first value to the last. */
  readonly growth: number;
}

/** Of two values at least. */
export function fitLine(values: readonly number[]): Line {
  const last = values.length - 1;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [products, squares] = [0, 0];
  for (const [i, value] of values.entries()) {
    products += (i - last / 2) * (value - mean);
    squares += (i - last / 2) ** 2;
  }
  const slope = products / squares;
  return { slope, mean, growth: slope * last };
}
