import { expect, test } from "vitest";
import { createSequence } from "./sequence.ts";

const inOrder = { received: 0, lost: 0, repeated: 0, disordered: 0, trimmed: 0, gaps: 0 };

/** Numbers of events, which stand behind cursors that are 100 larger; `gap 7` is a gap to event 8. */
function feed(...what: (number | `gap ${number}`)[]) {
  const sequence = createSequence("someone", { cap: 5 });
  for (const item of what) {
    if (typeof item === "number") sequence.take(`9.${100 + item}`, item);
    else sequence.gap(`9.${100 + Number(item.slice(4))}`, 20);
  }
  const { counts, failures, last } = sequence;
  return { ...counts, failures: failures.length, last };
}

test("events in order, and gaps as wide as they say, are right", () => {
  expect(feed(1, 2, 3)).toEqual({ ...inOrder, received: 3, last: 3, failures: 0 });
  expect(feed(1, 2, "gap 7", 8, 9)).toEqual({ ...inOrder, received: 4, last: 9, gaps: 1, trimmed: 5, failures: 0 });
});

test("what is lost, repeated or in the wrong order is counted as what it is", () => {
  expect(feed(1, 2, 5)).toMatchObject({ lost: 2, failures: 1 });
  expect(feed(1, 2, 2, 3)).toMatchObject({ repeated: 1, failures: 1 });
  expect(feed(1, 3, 2, 4)).toMatchObject({ disordered: 1, lost: 0, repeated: 0, failures: 2 });
});

test("a gap that is narrower or wider than what is missing is a failure", () => {
  expect(feed(1, "gap 7", 9)).toMatchObject({ trimmed: 6, lost: 1, failures: 1 });
  expect(feed(1, 2, "gap 7", 7)).toMatchObject({ repeated: 1, failures: 1 });
});

test("a gap in which nothing is, or about what is kept, or in a channel that is not trimmed, is a failure", () => {
  expect(feed(1, 2, "gap 2")).toMatchObject({ failures: 1 });
  expect(feed(1, 2, "gap 15")).toMatchObject({ failures: 0 });
  expect(feed(1, 2, "gap 16")).toMatchObject({ failures: 1 });
  const untrimmed = createSequence("someone", {});
  untrimmed.take("9.1", 1);
  untrimmed.gap("9.5", 1_000);
  expect(untrimmed.failures).toEqual(["someone: a gap from 1 to 9.5 in a channel that is not trimmed"]);
});

test("another epoch, and another event under a cursor that somebody else was given, are failures", () => {
  const channel = {};
  const first = createSequence("first", channel);
  first.take("9.1", 1);
  first.take("8.2", 2);
  expect(first.failures).toHaveLength(1);
  const second = createSequence("second", channel);
  second.take("9.2", 1);
  expect(second.failures).toHaveLength(1);
});
