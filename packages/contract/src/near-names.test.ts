import { expect, test } from "vitest";
import { nearNames } from "./near-names.ts";

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
