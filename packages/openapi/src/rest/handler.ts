/** Any tRPC 11 router as REST, for whatever speaks the fetch API. */
import { type AnyTRPCRouter, TRPCError } from "@trpc/server";
import { type ContextFactory, callOperation } from "./call.ts";
import type { RestFailure } from "./failure.ts";
import { createFailureReport, failureResponse, type OpenApiFailure } from "./failure-report.ts";
import { loadLazyRouters, readOperations } from "./operations.ts";
import { createPathTable, type MatchedOperation, type PathMatch } from "./path-table.ts";

export type { RestFailure } from "./failure.ts";

export interface OpenApiHandlerOptions<R extends AnyTRPCRouter> {
  readonly router: R;
  /** Makes the `ctx` of a call, before its input is read. What it throws is the answer. Default: an empty object. */
  readonly createContext?: ContextFactory<R>;
  /** Stands before every path of the router, as in `/api`. Default: none. */
  readonly basePath?: `/${string}`;
  /** What a body may have; 413 beyond. Default: 1 MiB. */
  readonly maxBodyBytes?: number;
  /** What a caller is told of an error. Default: `formatTrpcError`. */
  readonly formatError?: (error: TRPCError) => RestFailure;
  /** Is told of every failure, also of those that are the caller's fault. What it throws is lost. */
  readonly onError?: (failure: OpenApiFailure) => void;
  /** Between comments on a stream on which nothing happens. Default: 15,000. */
  readonly keepAliveMs?: number;
  /** How long a stream's head waits for the first item, so that an error before it has its own status. Default: 200. */
  readonly openingMs?: number;
}

/**
 * A fetch handler that serves the procedures of `router` that have `meta.openapi`. It always resolves with a response.
 *
 * Calls go through tRPC, so that middlewares, validation and `signal` are as they are there. Answers are JSON, 204 for
 * `undefined`, and server-sent events for subscriptions. The statuses that are not the procedure's own: 400 what cannot be
 * read, 404 an unknown path, 405 another method, 413 a body over the limit, 415 a body of another type, 422 what fails its
 * schema. HEAD is served wherever GET is, and OPTIONS wherever anything is.
 *
 * Throws an `Error` where the router is not as `listOperations` wants it. Of routers that are loaded lazily, the first
 * request finds that out and is answered 500.
 */
export function createOpenApiHandler<R extends AnyTRPCRouter>(
  options: OpenApiHandlerOptions<R>,
): (request: Request) => Promise<Response> {
  const { router, basePath, createContext } = options;
  const { maxBodyBytes = 1024 * 1024, openingMs = 200, keepAliveMs = 15_000 } = options;
  const report = createFailureReport(options);
  const callOptions = { router, createContext, maxBodyBytes, openingMs, keepAliveMs, report };
  let table = createPathTable(readOperations(router), basePath);
  let isWhole = Object.keys(router._def.lazy).length === 0;

  async function find(request: Request): Promise<PathMatch> {
    if (!isWhole) {
      await loadLazyRouters(router);
      table = createPathTable(readOperations(router), basePath);
      isWhole = true;
    }
    const found = table.find(new URL(request.url).pathname);
    if (!found) throw new TRPCError({ code: "NOT_FOUND", message: "Nothing is served at this path." });
    return found;
  }

  async function serve(match: MatchedOperation, request: Request): Promise<Response> {
    const { procedure } = match.operation;
    try {
      return await callOperation(callOptions, match, request);
    } catch (thrown) {
      return failureResponse(report(thrown, request, procedure));
    }
  }

  async function answer(request: Request): Promise<Response> {
    try {
      const found = await find(request);
      const allow = allowed(found);
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
      const match = matchFor(found, request.method);
      if (match) return await serve(match, request);
      const error = new TRPCError({ code: "METHOD_NOT_SUPPORTED", message: `This path takes ${allow}.` });
      return failureResponse(report(error, request), { allow });
    } catch (thrown) {
      return failureResponse(report(thrown, request));
    }
  }

  return async (request) => {
    const response = await answer(request);
    if (request.method !== "HEAD") return response;
    // A stream was opened, for the sake of its status, and is left again.
    await response.body?.cancel();
    return new Response(null, response);
  };
}

function matchFor({ methods }: PathMatch, method: string): MatchedOperation | undefined {
  const wanted = method === "HEAD" ? "GET" : method;
  for (const [offered, match] of methods) {
    if (offered === wanted) return match;
  }
  return undefined;
}

function allowed({ methods }: PathMatch): string {
  const offered = [...methods.keys()].flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  return [...offered, "OPTIONS"].join(", ");
}
