import { expect, test } from "vitest";
import { createStreamedText } from "./streamed-text.ts";

const saidOtherwise = expect.objectContaining({ code: "MODEL_ERROR" });

test("what is due is sent once, however often the agent takes it back and however it says it again", () => {
  const streamed = createStreamedText([]);
  expect(streamed.text("one two ")).toBe("one two ");
  streamed.retract(8);
  expect(streamed.text("one")).toBe("");
  streamed.retract(3);
  expect([..."one two "].map(streamed.text).join("")).toBe("");
  streamed.retract(4);
  expect(streamed.text("two three")).toBe("three");
  expect(streamed.end("one two three")).toBe("");
});

test("what was held back is not due", () => {
  const streamed = createStreamedText(["END"]);
  expect(streamed.text("one EN")).toBe("one ");
  streamed.retract(2);
  expect(streamed.text("two")).toBe("two");
  streamed.retract(3);
  expect(streamed.text("tw")).toBe("");
  expect(streamed.text("END")).toBe("");
  expect(() => streamed.end("")).toThrow(saidOtherwise);
});

test("a block before a tool can no longer be said anew", () => {
  const streamed = createStreamedText([]);
  streamed.text("one");
  streamed.endBlock();
  streamed.text("two");
  expect(() => streamed.retract(4)).toThrow(saidOtherwise);
});
