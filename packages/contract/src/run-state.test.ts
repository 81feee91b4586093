import fc from "fast-check";
import { expect, test } from "vitest";
import { canTransition, isFinal, type RunStatus, runStatuses, runTransitions } from "./run-state.ts";

const status = fc.constantFrom(...runStatuses);

test("a run begins queued, and every state can be reached from there", () => {
  const reached = new Set<RunStatus>(["queued"]);
  for (const from of reached) for (const to of runTransitions[from]) reached.add(to);
  expect(reached).toEqual(new Set(runStatuses));
});

test("from every state that is not final, a final one can be reached", () => {
  const leads = (from: RunStatus, seen: readonly RunStatus[] = []): boolean =>
    isFinal(from) || runTransitions[from].some((to) => !seen.includes(to) && leads(to, [...seen, from]));
  for (const from of runStatuses) expect(leads(from)).toBe(true);
});

test("however a run is pushed about, it takes only steps of the table and never leaves a final state", () => {
  fc.assert(
    fc.property(fc.array(status, { maxLength: 30 }), (wishes) => {
      let state: RunStatus = "queued";
      for (const wish of wishes) {
        if (!canTransition(state, wish)) continue;
        expect(isFinal(state)).toBe(false);
        expect(runTransitions[state]).toContain(wish);
        state = wish;
      }
    }),
  );
});

test("nothing follows itself, and only a running run can complete, time out or go back in line", () => {
  for (const from of runStatuses) {
    expect(canTransition(from, from)).toBe(false);
    for (const to of ["completed", "timed_out", "queued"] as const) {
      expect(canTransition(from, to)).toBe(from === "running");
    }
  }
});
