import { expect, test } from "vitest";
import { didYouMean, nearNames } from "./near-names.ts";

const names = ["serve", "status", "run", "runs", "logs", "sessions", "agents"];

test.each([
  ["stauts", ["status"]],
  ["serv", ["serve"]],
  ["servve", ["serve"]],
  ["agemts", ["agents"]],
  ["sess", ["sessions"]],
  ["rns", ["runs"]],
  ["rum", ["run"]],
])("%s is near %j", (word, near) => {
  expect(nearNames(word, names)).toEqual(near);
});

test.each(["bogus", "lo", "x", "", "token", "usrn"])("%j is near nothing", (word) => {
  expect(nearNames(word, names)).toEqual([]);
});

test("three near names at most are asked about, and none where none is near", () => {
  const agents = ["agent-1", "agent-2", "agent-3", "agent-4"];
  expect(didYouMean("agent", agents)).toBe(" Did you mean agent-1 or agent-2 or agent-3?");
  expect(didYouMean("agemt-4", agents)).toBe(" Did you mean agent-4?");
  expect(didYouMean("bob", agents)).toBe("");
});
