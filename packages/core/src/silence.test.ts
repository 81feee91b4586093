import { expect, test } from "vitest";
import { beatMs, createSilence, longestSilenceMs, lookMs, signMs, workerTtlMs } from "./silence.ts";

/** What the reaper lets an agent have between SIGTERM and SIGKILL, and a look at all processes of a busy machine. */
const endMs = 500 + 300;

test("a daemon that stands still has no agents any more when the first of its runs may be taken over", () => {
  expect(signMs + longestSilenceMs + lookMs + endMs).toBeLessThan(workerTtlMs - beatMs);
});

test("a daemon that is blocked for two seconds is not silent for too long, however late its sign", () => {
  expect(lookFor(2_000 + signMs, createSilence())).toBe(false);
});

test("three seconds without a sign are too long, and a sign is a new beginning", () => {
  const silence = createSilence();
  expect(lookFor(longestSilenceMs - lookMs, silence)).toBe(false);
  expect(lookFor(lookMs, silence)).toBe(true);
  silence.heard();
  expect(lookFor(longestSilenceMs - lookMs, silence)).toBe(false);
  expect(lookFor(lookMs, silence)).toBe(true);
});

test("of time in which nobody looked only half a second counts, however long it was", () => {
  const silence = createSilence();
  expect(lookFor(2_000, silence)).toBe(false);
  clock += 3_600_000;
  expect(silence.look(clock)).toBe(false);
  // So one who gets the processor every five seconds takes half a minute to be sure.
  for (let i = 0; i < 6; i++) {
    silence.heard();
    for (let looks = 0; looks < 5; looks++) {
      clock += 5_000;
      expect(silence.look(clock)).toBe(false);
    }
  }
});

let clock = 1_000;

/** Looks on time for so long; the last answer. */
function lookFor(ms: number, silence: ReturnType<typeof createSilence>): boolean {
  let isTooLong = silence.look(clock);
  for (const end = clock + ms; clock < end; ) {
    clock += lookMs;
    isTooLong = silence.look(clock);
  }
  return isTooLong;
}
