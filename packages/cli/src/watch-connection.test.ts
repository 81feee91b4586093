import { KsiError } from "@ksi/contract/errors";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchConnection } from "./watch-connection.ts";

const error = new KsiError("CONNECTION_LOST", "away");

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watch() {
  const told: string[] = [];
  const watched = watchConnection({
    giveUpAfterMs: 1_000,
    onAway: () => told.push("away"),
    onBack: () => told.push("back"),
  });
  return { told, ...watched };
}

test("the first connect is nothing to tell", () => {
  const { told, onConnection } = watch();
  onConnection({ state: "connecting" });
  onConnection({ state: "open" });
  expect(told).toEqual([]);
});

test("a lost connection is told once, however often it is tried, and so is its return", () => {
  const { told, onConnection, gaveUp } = watch();
  onConnection({ state: "open" });
  onConnection({ state: "connecting", error });
  onConnection({ state: "connecting", error });
  onConnection({ state: "open" });
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual(["away", "back"]);
  expect(gaveUp.aborted).toBe(false);
});

test("a daemon that stays away is given up with an error that says for how long it was away", () => {
  const { onConnection, gaveUp } = watch();
  onConnection({ state: "connecting", error });
  vi.advanceTimersByTime(1_000);
  expect(gaveUp.reason).toMatchObject({ code: "CONNECTION_LOST", message: expect.stringContaining("1 s") });
});
