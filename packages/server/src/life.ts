/** The end of a daemon or worker process: once, by whoever asks first, and for everybody who waits. */

export interface Life {
  /** Runs `end` once; later calls wait for the same end. With a reason the life was cut short: `closed` rejects. */
  end(deadlineMs: number, reason?: Error): Promise<void>;
  readonly closed: Promise<void>;
}

export function createLife(end: (deadlineMs: number) => Promise<void>): Life {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  // Whoever does not wait for the end must not be ended by it.
  closed.catch(() => undefined);
  let ending: Promise<void> | undefined;
  return {
    closed,
    end(deadlineMs, reason) {
      ending ??= end(deadlineMs).then(() => (reason ? reject(reason) : resolve()), reject);
      return ending;
    },
  };
}
