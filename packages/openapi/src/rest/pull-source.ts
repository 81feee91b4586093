/**
 * An async iterable, asked for one item at a time and only when somebody wants one.
 *
 * At most one `next()` is under way. Its outcome is kept until it is taken, so that waiting for it may be given up and taken
 * up again. An end or error stays: nothing is asked for after it.
 */

export type Outcome<T> =
  | { readonly kind: "item"; readonly value: T }
  | { readonly kind: "end" }
  | { readonly kind: "error"; readonly thrown: unknown };

export interface PullSource<T> {
  /**
   * Asks for the next outcome unless there is one, and resolves when there is, after `ms`, or when stopped. For one that
   * waits at a time.
   */
  wait(ms: number): Promise<void>;
  /** As `wait`, for no longer than promises take that are settled already. */
  waitBriefly(): Promise<void>;
  readonly outcome: Outcome<T> | undefined;
  /** Makes room for the next item. */
  take(): void;
  /** Returns the iterator, also one that is still to come. Safe to repeat. */
  stop(): void;
}

/** @param opening may reject, which is then the first outcome */
export function createPullSource<T>(opening: Promise<AsyncIterable<T>>): PullSource<T> {
  let outcome: Outcome<T> | undefined;
  let isAsking = false;
  let isStopped = false;
  let wake = () => {};
  const iterator = opening.then((iterable) => iterable[Symbol.asyncIterator]());

  async function next(): Promise<Outcome<T>> {
    try {
      const result = await (await iterator).next();
      return result.done ? { kind: "end" } : { kind: "item", value: result.value };
    } catch (thrown) {
      return { kind: "error", thrown };
    }
  }

  async function ask() {
    if (isAsking || isStopped || outcome) return;
    isAsking = true;
    outcome = await next();
    isAsking = false;
    wake();
  }

  return {
    get outcome() {
      return outcome;
    },
    async wait(ms) {
      void ask();
      if (outcome || isStopped) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      // Timers of more than this fire at once.
      const timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
      await promise;
      clearTimeout(timer);
    },
    async waitBriefly() {
      void ask();
      // Each layer of async generators takes about three turns to hand on an item that is there.
      for (let turn = 0; turn < 32 && !outcome && !isStopped; turn += 1) await Promise.resolve();
    },
    take() {
      if (outcome?.kind === "item") outcome = undefined;
    },
    stop() {
      if (isStopped) return;
      isStopped = true;
      wake();
      // It may hang in an await that nothing ends, and nobody is left to tell of what it throws.
      iterator.then((started) => started.return?.()).catch(() => {});
    },
  };
}
