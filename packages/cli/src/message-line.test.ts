import type { Message } from "@ksi/client";
import { expect, test } from "vitest";
import { describeMessage } from "./message-line.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

const message: Message = {
  id: "m",
  source: "alice\u001b[31m",
  target: "bob",
  event_type: "DIRECT_MESSAGE",
  payload: { content: "hi\u001b]0;owned\u0007" },
  timestamp: "2026-01-10T12:00:00.000Z",
};
const described = (isTty: boolean) =>
  describeMessage(message, createRecordedTerminal({ out: isTty, err: isTty }).out).replace(/^\S+ /, "");

test("a message cannot drive the terminal of who reads it", () => {
  expect(described(true)).toBe("alice[31m → bob  DIRECT_MESSAGE  hi]0;owned");
});

test("a pipe gets a message as it is", () => {
  expect(described(false)).toBe("alice\u001b[31m → bob  DIRECT_MESSAGE  hi\u001b]0;owned\u0007");
});

test("an answer that is none says why", () => {
  const { out } = createRecordedTerminal();
  const error = { code: "NO_MONEY", message: "The account is empty." };
  expect(describeMessage({ ...message, source: "al", payload: null, error }, out)).toMatch(
    / al → bob {2}DIRECT_MESSAGE {2}failed: The account is empty\.$/,
  );
});
