/** A program: appends through core's public log until it is told or cannot, and remembers what was acknowledged. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { monotonicMs } from "../stats.ts";
import { draftEvent } from "./bench-event.ts";
import { answerParent } from "./child.ts";
import { openCore } from "./open-core.ts";

export interface LedgerCalls {
  start(redisPath: string): Promise<void>;
  /** Appends `count` events, `batch` in one turn of the event loop, and waits for each batch. Gives ms of each. */
  time(count: number, batch: number): Promise<number[]>;
  /** Goes on appending by itself, 500 on their way at most. */
  begin(): Promise<void>;
  /** Numbers of the events whose append has resolved. */
  acknowledged(): number[];
}

const windowEvents = 500;
/** Nothing is trimmed, so that what is missing was lost. */
const maxEvents = 1_000_000;
const burst = 20;

const opened = Promise.withResolvers<(n: number) => Promise<unknown>>();
const acknowledged: number[] = [];
let appended = 0;

answerParent({
  async start(redisPath) {
    const { events } = await openCore(redisPath, maxEvents);
    opened.resolve((n) => events.publish(draftEvent(n)));
  },
  async time(count, batch) {
    const append = await opened.promise;
    const times: number[] = [];
    for (let done = 0; done < count; done += batch) {
      const startedAt = monotonicMs();
      await Promise.all(Array.from({ length: batch }, () => append(appended++)));
      times.push(monotonicMs() - startedAt);
    }
    return times;
  },
  async begin() {
    void appendUntilItFails(await opened.promise);
  },
  acknowledged: () => acknowledged,
} satisfies LedgerCalls);

async function appendUntilItFails(append: (n: number) => Promise<unknown>): Promise<void> {
  let unanswered = 0;
  let hasFailed = false;
  while (!hasFailed && appended < maxEvents) {
    for (let i = 0; i < burst && unanswered < windowEvents; i++) {
      const n = appended++;
      unanswered += 1;
      append(n).then(
        () => {
          acknowledged.push(n);
          unanswered -= 1;
        },
        () => {
          hasFailed = true;
        },
      );
    }
    await nextTurn();
  }
}
