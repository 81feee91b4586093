/** tRPC over HTTP: queries and mutations, alone or as batches, and subscriptions as event streams. */
import { appRouter, type Context, KsiError, type Ports, trpcCodes } from "@ksi/contract";
import { readBytes } from "@ksi/openapi";
import { TRPCError } from "@trpc/server";
import { resolveResponse } from "@trpc/server/http";
import type { Handler } from "hono";
import type { Admission } from "./admission.ts";
import type { HttpDoorOptions } from "./doors.ts";
import { endOnClose } from "./end-on-close.ts";
import type { HttpVariables } from "./http-middleware.ts";
import { logCallError } from "./log-call-error.ts";

export function serveTrpc(admission: Admission, options: HttpDoorOptions): Handler<HttpVariables> {
  const { logger, health, maxBatchSize, maxBodyBytes, closing } = options;
  return async (c) => {
    const request = c.req.raw;
    const body = request.body && (await readBytes(request, maxBodyBytes));
    const response = await resolveResponse<typeof appRouter>({
      router: appRouter,
      path: new URL(request.url).pathname.slice("/trpc/".length),
      // A request of Node's own: the body has been read, and the adapter's stand-in cannot be given another.
      req: new Request(request.url, {
        method: request.method,
        headers: request.headers,
        signal: request.signal,
        ...(body instanceof Uint8Array && { body }),
      }),
      error: body === "too large" ? toTrpcError(tooLarge(maxBodyBytes)) : null,
      createContext: async ({ info }): Promise<Context> => ({
        health,
        ports: enter(admission, request, { isStream: info.type === "subscription" }),
      }),
      maxBatchSize,
      responseMeta: ({ errors }) => ({ headers: retryAfter(errors) }),
      onError: ({ error, path }) =>
        logCallError(logger, error, { procedure: path, request_id: c.var.requestId }, request.signal),
    });
    return endOnClose(response, closing);
  };
}

function enter(admission: Admission, request: Request, { isStream }: { isStream: boolean }): Ports | undefined {
  try {
    return isStream ? admission.admitStream(request) : admission.admit(request);
  } catch (thrown) {
    // What is thrown here passes no middleware of the router, and any other class would be a fault of ours to tRPC.
    throw toTrpcError(KsiError.from(thrown));
  }
}

function toTrpcError(cause: KsiError): TRPCError {
  return new TRPCError({ code: trpcCodes[cause.code], message: cause.message, cause });
}

function tooLarge(maxBytes: number): KsiError {
  return new KsiError("PAYLOAD_TOO_LARGE", `The body is over the limit of ${maxBytes} bytes.`);
}

/** For clients that know HTTP and not our errors, such as proxies. */
function retryAfter(errors: readonly TRPCError[]): Record<string, string> {
  for (const { cause } of errors) {
    const ms = cause instanceof KsiError ? cause.details?.retry_after_ms : undefined;
    if (ms !== undefined) return { "retry-after": String(Math.ceil(ms / 1_000)) };
  }
  return {};
}
