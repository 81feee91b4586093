export interface UntilOptions {
  /** Default 20,000, which only what never comes takes, on a busy machine too. */
  deadlineMs?: number;
  /** What was waited for, for the error. */
  message?: string;
}

/** Waits until `condition` gives something truthy, and gives that; throws with `message` when the deadline passes. */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<Truthy<T>> {
  const { deadlineMs = 20_000, message = condition.toString() } = options;
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Truthy<T>;
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${message}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

type Truthy<T> = Exclude<T, false | 0 | "" | null | undefined>;
