/** The one kind of message that all questions about messages send: 250 bytes of JSON once it has an id and a time. */
import { monotonicMs } from "../stats.ts";

export interface BenchMessage {
  source: string;
  target: string;
  event_type: string;
  /** `n` counts up by one for each message to this target, `at` is when it was sent (`monotonicMs`). */
  payload: { n: number; at: number; text: string };
}

const text = "The quick brown fox jumps over the lazy dog, and is not seen again.";

/** From a source that is no registered agent, so that the limit of what two agents may send each other is not counted. */
export function draftMessage(target: string, n: number): BenchMessage {
  return { source: "bench", target, event_type: "bench.note", payload: { n, at: monotonicMs(), text } };
}

export function agentNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `agent-${i}`);
}
