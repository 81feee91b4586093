import { initTRPC, TRPCError } from "@trpc/server";
import { expect, test } from "vitest";
import { z } from "zod";
import * as mini from "zod/mini";
import { formatTrpcError } from "./failure.ts";
import { createFailureReport, failureResponse } from "./failure-report.ts";

const request = new Request("http://localhost/");

test.each([
  ["PARSE_ERROR", 400],
  ["UNAUTHORIZED", 401],
  ["FORBIDDEN", 403],
  ["NOT_FOUND", 404],
  ["METHOD_NOT_SUPPORTED", 405],
  ["CONFLICT", 409],
  ["PAYLOAD_TOO_LARGE", 413],
  ["UNSUPPORTED_MEDIA_TYPE", 415],
  ["TOO_MANY_REQUESTS", 429],
  ["CLIENT_CLOSED_REQUEST", 499],
  ["SERVICE_UNAVAILABLE", 503],
] as const)("%s is %i, with the error's own message", (code, status) => {
  const failure = formatTrpcError(new TRPCError({ code, message: "Why.", cause: new Error("secret") }));
  expect(failure).toEqual({ status, error: { code, message: "Why." } });
});

test("an input that fails its schema is 422, with where and why", async () => {
  const t = initTRPC.create();
  const inputs = [
    z.object({ a: z.array(z.object({ b: z.number() })) }),
    mini.object({ a: mini.array(mini.object({ b: mini.number() })) }),
  ];
  for (const input of inputs) {
    const caller = t.router({ it: t.procedure.input(input).query(() => 1) }).createCaller({});
    const error = await caller.it(JSON.parse('{"a":[{"b":"x"}]}')).catch((thrown) => thrown);
    const issue = { path: "a.0.b", message: expect.stringContaining("Invalid input") };
    expect(formatTrpcError(error)).toEqual({
      status: 422,
      error: { code: "UNPROCESSABLE_CONTENT", message: `a.0.b: ${error.cause.issues[0].message}`, issues: [issue] },
    });
  }
});

test("an issue with the input as a whole has an empty path", () => {
  const cause = z.object({}).safeParse([]).error;
  const { error } = formatTrpcError(new TRPCError({ code: "BAD_REQUEST", cause }));
  expect(error.issues).toEqual([{ path: "", message: "Invalid input: expected object, received array" }]);
  expect(error.message).toBe("Invalid input: expected object, received array");
});

test("what an output failed on is the server's secret", () => {
  const cause = z.object({ secret: z.string() }).safeParse({}).error;
  const failure = formatTrpcError(
    new TRPCError({ code: "INTERNAL_SERVER_ERROR", message: "Output validation failed", cause }),
  );
  expect(failure).toEqual({ status: 500, error: { code: "INTERNAL_SERVER_ERROR", message: "Internal server error." } });
});

test("a message that is only its cause's was not written for callers", () => {
  const failure = formatTrpcError(new TRPCError({ code: "NOT_FOUND", cause: new Error("ENOENT: /etc/secret") }));
  expect(failure).toEqual({ status: 404, error: { code: "NOT_FOUND", message: "Not found." } });
});

test("whatever was thrown is reported, also with a formatter and a listener that fail", async () => {
  const seen: unknown[] = [];
  const report = createFailureReport({
    formatError: () => {
      throw new Error("no format");
    },
    onError: (failure) => {
      seen.push(failure);
      throw new Error("no log");
    },
  });
  const error = new Error("secret");
  const response = failureResponse(report(error, request, "a.b"), { allow: "GET" });
  expect(seen).toEqual([{ error: expect.objectContaining({ cause: error }), request, procedure: "a.b" }]);
  expect(response.status).toBe(500);
  expect(response.headers.get("allow")).toBe("GET");
  expect(await response.json()).toEqual({
    error: { code: "INTERNAL_SERVER_ERROR", message: "Internal server error." },
  });
});

test("a formatter decides on status, body and headers, with facts that JSON alone could not hold", async () => {
  const report = createFailureReport({
    formatError: ({ code }) => ({
      status: 418,
      error: { code: `X_${code}`, message: "No.", retry_after: 5n },
      headers: { "retry-after": "5" },
    }),
  });
  const response = failureResponse(report(new TRPCError({ code: "CONFLICT" }), request));
  expect(response.status).toBe(418);
  expect(response.headers.get("retry-after")).toBe("5");
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(await response.json()).toEqual({ error: { code: "X_CONFLICT", message: "No.", retry_after: "5" } });
});

test("facts that have no JSON are a 500", async () => {
  const report = createFailureReport({
    formatError: () => ({ status: 400, error: { code: "A", message: "B", map: new Map([[{}, 1]]) } }),
  });
  expect(report(new Error("x"), request).status).toBe(500);
});

test("who stops because the request was aborted has not failed", () => {
  const controller = new AbortController();
  const aborted = new Request("http://localhost/", { signal: controller.signal });
  controller.abort();
  const report = createFailureReport({});
  expect(report(aborted.signal.reason, aborted).status).toBe(499);
  expect(report(new DOMException("stop", "AbortError"), aborted).status).toBe(499);
  expect(report(new Error("a fault all the same"), aborted).status).toBe(500);
  expect(report(new TRPCError({ code: "CONFLICT" }), aborted).status).toBe(409);
  expect(report(new DOMException("stop", "AbortError"), request).status).toBe(500);
});
