import { errorCodes, KsiError, toWireError } from "@ksi/contract";
import { TRPCError } from "@trpc/server";
import { expect, test } from "vitest";
import { errorResponse, formatKsiError, toRestFailure } from "./error-response.ts";
import { restStatuses } from "./statuses.ts";

test("every code has a status of a failure, and bad input is 422", () => {
  for (const code of errorCodes) {
    const { status, error } = toRestFailure(new KsiError(code, "Sorry."));
    expect([code, status, error.code]).toEqual([code, restStatuses[code], code]);
    expect(status).toBeGreaterThanOrEqual(400);
  }
  expect([restStatuses.INVALID_INPUT, restStatuses.MODEL_NOT_FOUND, restStatuses.MALFORMED_REQUEST]).toEqual([
    422, 422, 400,
  ]);
});

test("details stand beside code and message, and say when to come back in a header too", async () => {
  const error = new KsiError("RATE_LIMITED", "Too often.", { details: { retry_after_ms: 1_001 } });
  const response = errorResponse(error, { cause: "why" });
  expect([response.status, response.headers.get("retry-after")]).toEqual([429, "2"]);
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({
    error: { code: "RATE_LIMITED", message: "Too often.", retry_after_ms: 1_001, cause: "why" },
  });
});

test("a caller without token is told the scheme, and others are told of no header", () => {
  expect(errorResponse(new KsiError("UNAUTHORIZED", "Who?")).headers.get("www-authenticate")).toBe("Bearer");
  expect(toRestFailure(new KsiError("NOT_FOUND", "No.")).headers).toEqual({});
});

test("what could not be read is explained in the words of REST, and not in those of tRPC", () => {
  const message = "The body is not valid JSON.";
  const unread = new TRPCError({ code: "PARSE_ERROR", message, cause: new SyntaxError("Unexpected token") });
  expect(toWireError(unread).message).toContain("superjson");
  expect(formatKsiError(unread)).toMatchObject({ status: 400, error: { code: "MALFORMED_REQUEST", message } });

  const repeated = new TRPCError({ code: "PARSE_ERROR", cause: new SyntaxError("secret") });
  expect(formatKsiError(repeated).error.message).toBe("The request cannot be read.");
});

test("a fault inside stays inside", () => {
  const fault = new TRPCError({ code: "INTERNAL_SERVER_ERROR", cause: new Error("secret") });
  const { status, error } = formatKsiError(fault);
  expect([status, error.code]).toEqual([500, "INTERNAL"]);
  expect(JSON.stringify(error)).not.toContain("secret");
});
