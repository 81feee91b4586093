/** REST: every procedure at its own path, subscriptions as event streams. */
import type { Context } from "@ksi/contract";
import { createRestHandler } from "@ksi/openapi/ksi";
import type { Handler } from "hono";
import type { Admission } from "./admission.ts";
import type { HttpDoorOptions } from "./doors.ts";
import { endOnClose } from "./end-on-close.ts";
import type { HttpVariables } from "./http-middleware.ts";
import { logCallError } from "./log-call-error.ts";

export function serveRest(admission: Admission, options: HttpDoorOptions): Handler<HttpVariables> {
  const { logger, health, maxBodyBytes, closing } = options;
  const requestIds = new WeakMap<Request, string>();
  const answer = createRestHandler({
    maxBodyBytes,
    createContext: ({ request, operation }): Context => ({
      health,
      ports: operation.type === "subscription" ? admission.admitStream(request) : admission.admit(request),
    }),
    onError: ({ error, request, procedure }) =>
      logCallError(logger, error, { procedure, request_id: requestIds.get(request) }, request.signal),
  });
  return async (c) => {
    requestIds.set(c.req.raw, c.var.requestId);
    return endOnClose(await answer(c.req.raw), closing);
  };
}
