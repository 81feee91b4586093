/**
 * A program: one process that appends events and follows them, by KSI's log or by the bare one. Each turn of its event
 * loop appends one burst, as long as fewer than `windowEvents` are on their way to the subscriber.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { monotonicMs } from "../stats.ts";
import { followBareLog, openBareLog } from "./bare-log.ts";
import { type BenchEvent, draftEvent, wholeEvent } from "./bench-event.ts";
import { connectTo } from "./bench-redis.ts";
import { answerParent } from "./child.ts";
import { openCore } from "./open-core.ts";

export type LoopKind = "ours" | "bare";

export interface LoopCalls {
  start(kind: LoopKind, path: string): Promise<void>;
  /** Appends so many, in bursts, and gives the milliseconds from the first append to the last delivery. */
  run(events: number, burst: number): Promise<number>;
}

/** Small enough that nobody's queue overflows, large enough that nobody waits for work. */
const windowEvents = 1_000;
const stallMs = 10_000;

interface Log {
  /** Takes the next `count` events, from number `from` on. */
  append(from: number, count: number): Promise<unknown>;
  follow(onEvent: (n: number) => void): Promise<void>;
}

const opened = Promise.withResolvers<Log>();
let appended = 0;
let delivered = 0;
let failure: Error | undefined;

answerParent({
  async start(kind, path) {
    const log = kind === "ours" ? await openOurs(path) : await openBare(path);
    await log.follow((n) => {
      if (n !== delivered) failure ??= new Error(`event ${n} came where ${delivered} was due`);
      delivered += 1;
    });
    opened.resolve(log);
  },
  async run(events, burst) {
    const log = await opened.promise;
    const startedAt = monotonicMs();
    const last = appended + events;
    let movedAt = startedAt;
    for (let seen = delivered; delivered < last; ) {
      if (failure) throw failure;
      if (appended < last && appended + burst - delivered <= windowEvents) {
        log.append(appended, burst).catch((error: Error) => {
          failure ??= error;
        });
        appended += burst;
      }
      await nextTurn();
      if (seen !== delivered) [seen, movedAt] = [delivered, monotonicMs()];
      else if (monotonicMs() > movedAt + stallMs) throw new Error(`only ${delivered} of ${appended} came`);
    }
    return monotonicMs() - startedAt;
  },
} satisfies LoopCalls);

async function openOurs(path: string): Promise<Log> {
  const { events } = await openCore(path);
  return {
    append: (from, count) => Promise.all(Array.from({ length: count }, (_, i) => events.publish(draftEvent(from + i)))),
    async follow(onEvent) {
      const follow = await events.subscribe({}, { from: "now" }, new AbortController().signal);
      const read = async () => {
        for await (const { event } of follow) onEvent((event as BenchEvent).payload.n);
      };
      read().catch((error: Error) => {
        failure ??= error;
      });
    },
  };
}

async function openBare(path: string): Promise<Log> {
  const log = await openBareLog(connectTo(path));
  return {
    append: (from, count) => log.append(Array.from({ length: count }, (_, i) => wholeEvent(from + i))),
    follow: (onEvent) =>
      followBareLog(connectTo(path), (batch) => {
        for (const { json } of batch) onEvent((JSON.parse(json) as BenchEvent).payload.n);
      }),
  };
}
