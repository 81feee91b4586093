import { KsiError } from "@ksi/contract/errors";
import { expect, test } from "vitest";
import { recogniseStoreError, toStoreError } from "./store-error.ts";

test.for([
  ["MISCONF Errors writing to the AOF file: No space left on device", "cannot save to its disk"],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:1.", "out of memory"],
  ["READONLY You can't write against a read only replica.", "read-only replica"],
  ["NOAUTH Authentication required.", "asks for a password"],
  ["LOADING Redis is loading the dataset in memory", "still loading"],
  ["MOVED 3999 127.0.0.1:6381", "node of a Cluster"],
  ["ERR max number of clients reached", "maxclients"],
  ['Unknown RESP type 72 "H". Please report this.', "not a Redis"],
  ["Command timed out", "took too long"],
  ["Connection is closed.", "connection to Redis is closed"],
] as const)("%s is a store that is unavailable", ([message, reason]) => {
  const cause = new Error(message);
  expect(toStoreError(cause)).toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining(reason),
    cause,
  });
});

test("a host with several addresses that all refuse is told by the first", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED ::1:1"), { code: "ECONNREFUSED" });
  expect(toStoreError(new AggregateError([refused]))).toMatchObject({
    code: "STORE_UNAVAILABLE",
    message: expect.stringContaining("Nothing answers"),
  });
});

test("a KsiError stays itself, and a wrong command is our own fault", () => {
  const error = new KsiError("CONFLICT", "The lease is over.");
  expect(toStoreError(error)).toBe(error);
  expect(toStoreError(new Error("WRONGTYPE Operation against a key"))).toMatchObject({ code: "INTERNAL" });
});

test("of a call that was sent and not answered nobody knows whether it was carried out", () => {
  const silence = new Error("Command timed out");
  expect(recogniseStoreError(silence, true)).toMatchObject({
    message: expect.stringMatching(/took too long .* may or may not have arrived/),
    details: { outcome: "unknown" },
  });
  expect(recogniseStoreError(silence)?.details).toBeUndefined();
  const refusal = Object.assign(new Error("OOM command not allowed"), { name: "ReplyError" });
  expect(recogniseStoreError(refusal, true)?.details).toBeUndefined();
});
