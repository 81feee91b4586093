/** What was started, to be closed in reverse order; what one cannot close does not keep the others open. */
import type { Logger } from "./logger.ts";

export interface Closers {
  /** Notes how to close something, and gives the thing back. */
  add<T>(thing: T, close: (thing: T) => Promise<void> | void): T;
  closeAll(): Promise<void>;
}

/** AsyncDisposableStack, which Node 22 does not have, and which throws what should be logged. */
export function createClosers(logger: Logger): Closers {
  const closers: (() => Promise<void> | void)[] = [];
  return {
    add(thing, close) {
      closers.push(() => close(thing));
      return thing;
    },
    async closeAll() {
      for (let close = closers.pop(); close; close = closers.pop()) {
        try {
          await close();
        } catch (error) {
          logger.error({ err: error }, "something could not be closed");
        }
      }
    },
  };
}
