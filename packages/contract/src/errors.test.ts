import { expect, test } from "vitest";
import { errorCodes, isErrorCode, KsiError } from "./errors.ts";

test("the list of codes is closed and without repeats", () => {
  expect(new Set(errorCodes).size).toBe(errorCodes.length);
  expect(isErrorCode("NOT_FOUND")).toBe(true);
  expect(isErrorCode("EVERYTHING_IS_FINE")).toBe(false);
  expect(isErrorCode(undefined)).toBe(false);
});

test("a KsiError passes through the funnel as it is", () => {
  const error = new KsiError("CONFLICT", "Twice.");
  expect(KsiError.from(error)).toBe(error);
});

test("an abort becomes CANCELLED and an expired signal TIMEOUT", () => {
  const expired = Object.assign(new Error("late"), { name: "TimeoutError" });
  expect(KsiError.from(AbortSignal.abort().reason).code).toBe("CANCELLED");
  expect(KsiError.from(expired)).toMatchObject({ code: "TIMEOUT", cause: expired });
});

test("the wire shape is read back, also from where tRPC clients carry it", () => {
  const wire = { code: "HISTORY_TRIMMED", message: "Gone.", details: { oldest: "1.2" } };
  expect(KsiError.from(wire).toJSON()).toEqual(wire);
  expect(KsiError.from({ message: "tRPC's own", data: { ksi: wire } }).toJSON()).toEqual(wire);
});

test.each([undefined, null, "text", 7, new Error("secret"), { code: "ENOENT", message: "no such file" }])(
  "a stranger such as %j becomes INTERNAL, which keeps it as the cause and says nothing of it",
  (stranger) => {
    const error = KsiError.from(stranger);
    expect(error).toMatchObject({ code: "INTERNAL", cause: stranger });
    expect(error.message).not.toMatch(/secret|no such file|text/);
  },
);

test("neither cause nor stack is sent", () => {
  const error = new KsiError("INTERNAL", "Sorry.", { cause: new Error("secret") });
  expect(JSON.parse(JSON.stringify(error))).toEqual({ code: "INTERNAL", message: "Sorry." });
});
