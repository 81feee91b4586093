import type { Logger } from "./logger.ts";

/** What was started, to be closed in reverse order; what one cannot close does not keep the others open. */
export interface Closers {
  /** Notes how to close something (default: by disposing it), and gives the thing back. */
  add<T extends AsyncDisposable>(thing: T): T;
  add<T>(thing: T, close: (thing: T) => Promise<void> | void): T;
  /** Never rejects: what goes wrong is logged. Safe to repeat. */
  closeAll(): Promise<void>;
}

/** Like AsyncDisposableStack, which Node 22 does not have, and which throws what should be logged. */
export function createClosers(logger: Logger): Closers {
  const closers: (() => Promise<void> | void)[] = [];
  return {
    add<T>(thing: T, close: (thing: T) => Promise<void> | void = dispose) {
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

async function dispose(thing: unknown): Promise<void> {
  await (thing as AsyncDisposable)[Symbol.asyncDispose]();
}
