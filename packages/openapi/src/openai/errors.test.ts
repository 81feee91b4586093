import { errorCodes, KsiError } from "@ksi/contract";
import { expect, test } from "vitest";
import { openAiError } from "./chat-schemas.ts";
import { openAiErrorResponse } from "./errors.ts";

test.each(errorCodes)("%s is answered in OpenAI's shape", async (code) => {
  const response = openAiErrorResponse(new KsiError(code, "It went wrong."));
  const body = openAiError.parse(await response.json());
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(body.error.message).toBe("It went wrong.");
  expect(response.headers.get("content-type")).toMatch("application/json");
});

test("only what was refused for a passing reason is tried again, and never once a run was accepted", () => {
  const retried = errorCodes.filter(
    (code) => openAiErrorResponse(new KsiError(code, "")).headers.get("x-should-retry") === "true",
  );
  expect(retried.toSorted()).toEqual(["RATE_LIMITED", "SHUTTING_DOWN", "STORE_UNAVAILABLE"]);
  for (const code of errorCodes) {
    const { headers } = openAiErrorResponse(new KsiError(code, ""), { isAccepted: true });
    expect(headers.get("x-should-retry")).toBe("false");
    expect(headers.has("retry-after")).toBe(false);
  }
});

test("what may have been accepted is tried again only where a repeat changes nothing", () => {
  const error = new KsiError("STORE_UNAVAILABLE", "", { details: { outcome: "unknown" } });
  const shouldRetry = (isRepeatable?: boolean) =>
    openAiErrorResponse(error, { ...(isRepeatable !== undefined && { isRepeatable }) }).headers.get("x-should-retry");
  expect(shouldRetry()).toBe("false");
  expect(shouldRetry(false)).toBe("false");
  expect(shouldRetry(true)).toBe("true");
});

test("the time to wait is said in milliseconds and in whole seconds", () => {
  const error = new KsiError("RATE_LIMITED", "Too many.", { details: { retry_after_ms: 1_500 } });
  const { status, headers } = openAiErrorResponse(error);
  expect(status).toBe(429);
  expect(headers.get("retry-after-ms")).toBe("1500");
  expect(headers.get("retry-after")).toBe("2");
});

test("a field that a port refuses is named as the client knows it", async () => {
  const details = { issues: [{ path: "images", message: "this model takes none" }] };
  const response = openAiErrorResponse(new KsiError("INVALID_INPUT", "No images.", { details }));
  expect(await response.json()).toMatchObject({ error: { param: "messages", code: "invalid_input" } });
});

test("an unknown key and an unknown model have OpenAI's own codes", async () => {
  const [key, model] = await Promise.all(
    (["UNAUTHORIZED", "MODEL_NOT_FOUND"] as const).map(async (code) => {
      const response = openAiErrorResponse(new KsiError(code, ""));
      return { status: response.status, ...openAiError.parse(await response.json()).error };
    }),
  );
  expect(key).toMatchObject({ status: 401, code: "invalid_api_key" });
  expect(model).toMatchObject({ status: 404, code: "model_not_found", param: "model" });
});
