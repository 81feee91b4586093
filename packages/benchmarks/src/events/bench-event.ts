/** The one kind of event that all questions about events send: 250 bytes of JSON, give or take. */
import { randomUUID } from "node:crypto";
import { monotonicMs } from "../stats.ts";

export interface BenchDraft {
  source: string;
  event_type: `x.${string}`;
  /** `n` counts up by one for each event of a publisher, `at` is when it was appended (`monotonicMs`). */
  payload: { n: number; at: number; text: string };
}

export interface BenchEvent extends BenchDraft {
  id: string;
  timestamp: string;
}

/** Any text frame at least this long counts as an event. All else that a server says is shorter, but for failures. */
export const minFrameBytes = 200;

const text = "The quick brown fox jumps over the lazy dog, and is not seen again.";

export function draftEvent(n: number): BenchDraft {
  return { source: "bench", event_type: "x.bench.tick", payload: { n, at: monotonicMs(), text } };
}

/** As ours makes one of a draft, for peers that are given the whole. */
export function wholeEvent(n: number): BenchEvent {
  return { id: randomUUID(), timestamp: new Date().toISOString(), ...draftEvent(n) };
}

const numberField = Buffer.from('"n":');
const zero = 0x30;

/** The `n` of an event's JSON inside a frame (NaN where there is none), found without parsing it: a client must cost less than a server. */
export function readNumber(frame: Buffer, start: number, end: number): number {
  const field = frame.indexOf(numberField, start);
  if (field === -1 || field >= end) return Number.NaN;
  let n = 0;
  for (let at = field + numberField.length; at < end; at++) {
    const digit = (frame[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) break;
    n = n * 10 + digit;
  }
  return n;
}
