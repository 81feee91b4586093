/**
 * How much of calls may be under way on the WebSocket. tRPC sends all calls of one tick in one frame, and the daemon closes
 * a socket whose frame is too large; so what is beyond the window waits, in order, until others are answered.
 */
import type { AppRouter } from "@ksi/contract";
import type { TRPCLink } from "@trpc/client";
import { observable, type Unsubscribable } from "@trpc/server/observable";

/** What a call's frame has beside its input. */
const overheadChars = 200;

export function createCallWindow(maxChars: number): TRPCLink<AppRouter> {
  return () => {
    const waiting: { chars: number; begin: () => void }[] = [];
    let used = 0;
    const beginWaiting = () => {
      // A call that is larger than the window goes when it has it to itself.
      for (let call = waiting[0]; call && (used === 0 || used + call.chars <= maxChars); call = waiting[0]) {
        waiting.shift();
        used += call.chars;
        call.begin();
      }
    };

    return ({ op, next }) => {
      if (op.type === "subscription") return next(op);
      return observable((observer) => {
        let subscription: Unsubscribable | undefined;
        const call = {
          chars: jsonLength(op.input) + overheadChars,
          begin() {
            subscription = next(op).subscribe(observer);
          },
        };
        waiting.push(call);
        beginWaiting();
        return () => {
          const place = waiting.indexOf(call);
          if (place >= 0) waiting.splice(place, 1);
          else used -= call.chars;
          subscription?.unsubscribe();
          beginWaiting();
        };
      });
    };
  };
}

/** Infinite for what JSON cannot hold, such as a bigint: superjson can, and the daemon says what is wrong with it. */
export function jsonLength(input: unknown): number {
  try {
    return JSON.stringify(input ?? null).length;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
