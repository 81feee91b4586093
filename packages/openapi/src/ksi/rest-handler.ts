import { type AppRouter, appRouter } from "@ksi/contract";
import { createOpenApiHandler, type OpenApiHandlerOptions } from "../rest/handler.ts";
import { formatKsiError } from "./error-response.ts";

export type KsiRestHandlerOptions = Omit<OpenApiHandlerOptions<AppRouter>, "router" | "formatError">;

/**
 * Every procedure of KSI at its path under `/api/v1`, with KSI's errors: `{"error": {"code", "message", …details}}` and
 * the statuses of `restStatuses`. Answers any other path with 404.
 */
export function createRestHandler(options: KsiRestHandlerOptions): (request: Request) => Promise<Response> {
  return createOpenApiHandler({ ...options, router: appRouter, formatError: formatKsiError });
}
