/** What OpenAI's clients call. */
import { createOpenAiRoutes } from "@ksi/openapi/openai";
import type { Handler } from "hono";
import type { Admission } from "./admission.ts";
import type { HttpDoorOptions } from "./doors.ts";
import type { HttpVariables } from "./http-middleware.ts";
import { logCallError } from "./log-call-error.ts";

/**
 * Its streams are not ended when the daemon closes: they end by themselves with their runs, and to these clients a
 * stream that just ends looks like an answer that is complete.
 */
export function serveOpenAi(admission: Admission, options: HttpDoorOptions): Handler<HttpVariables> {
  const { logger, maxBodyBytes, waitMaxMs } = options;
  const requestIds = new WeakMap<Request, string>();
  const answer = createOpenAiRoutes((request) => admission.requirePorts(request), {
    maxBodyBytes,
    maxWaitMs: waitMaxMs,
    onError: ({ error, request }) => {
      const { pathname } = new URL(request.url);
      logCallError(logger, error, { path: pathname, request_id: requestIds.get(request) }, request.signal);
    },
  });
  return async (c) => {
    requestIds.set(c.req.raw, c.var.requestId);
    const response = await answer(c.req.raw);
    for (const [name, value] of Object.entries(admission.rateLimitHeaders(c.req.raw))) {
      response.headers.set(name, value);
    }
    return response;
  };
}
