/** One call of a procedure, and its answer. */
import { type AnyTRPCRouter, callTRPCProcedure, type inferRouterContext } from "@trpc/server";
import type { TRPCRequestInfo } from "@trpc/server/http";
import { isObservable, observableToAsyncIterable } from "@trpc/server/observable";
import { openEventStream } from "./event-stream.ts";
import type { ReportFailure } from "./failure-report.ts";
import { readInput } from "./input.ts";
import { toJson } from "./json.ts";
import type { Operation } from "./operations.ts";
import type { MatchedOperation } from "./path-table.ts";

export interface CallOptions<R extends AnyTRPCRouter> {
  readonly router: R;
  readonly createContext: ContextFactory<R> | undefined;
  readonly maxBodyBytes: number;
  readonly openingMs: number;
  readonly keepAliveMs: number;
  readonly report: ReportFailure;
}

export type ContextFactory<R extends AnyTRPCRouter> = (
  options: CreateContextOptions,
) => inferRouterContext<R> | Promise<inferRouterContext<R>>;

export interface CreateContextOptions {
  readonly request: Request;
  /** What tRPC's own adapters tell `createContext`. */
  readonly info: TRPCRequestInfo;
  /** What is about to be called. */
  readonly operation: Operation;
}

/** Calls the procedure through tRPC. Rejects with what it throws, or with what is wrong with the request. */
export async function callOperation<R extends AnyTRPCRouter>(
  options: CallOptions<R>,
  match: MatchedOperation,
  request: Request,
): Promise<Response> {
  const { procedure, type } = match.operation;
  const { openingMs, keepAliveMs, report } = options;
  const controller = new AbortController();
  const signal = AbortSignal.any([request.signal, controller.signal]);
  const called = call(options, match, request, signal);
  if (type !== "subscription") return jsonResponse(await called, procedure);
  return openEventStream({
    items: called.then((result) => toAsyncIterable(result, procedure, signal)),
    signal,
    abort: () => controller.abort(),
    openingMs,
    keepAliveMs,
    toErrorBody: (thrown) => report(thrown, request, procedure).body,
  });
}

async function call<R extends AnyTRPCRouter>(
  { router, createContext, maxBodyBytes }: CallOptions<R>,
  match: MatchedOperation,
  request: Request,
  signal: AbortSignal,
): Promise<unknown> {
  const { operation } = match;
  const { procedure: path, type } = operation;
  // Read when tRPC first asks for it, so that a middleware that turns the caller away comes before the body.
  let reading: Promise<unknown> | undefined;
  let input: unknown;
  async function read() {
    input = await readInput(match, request, maxBodyBytes);
    return input;
  }
  function getRawInput() {
    reading ??= read();
    return reading;
  }
  const procedure = router._def.procedures[path];
  const info: TRPCRequestInfo = {
    accept: null,
    type,
    isBatchCall: false,
    calls: [{ path, getRawInput, result: () => input, procedure, batchIndex: 0 }],
    connectionParams: null,
    signal,
    url: new URL(request.url),
  };
  const ctx = (await createContext?.({ request, info, operation })) ?? {};
  return callTRPCProcedure({ router, path, type, ctx, getRawInput, signal, batchIndex: 0 });
}

function jsonResponse(value: unknown, procedure: string): Response {
  if (isStream(value)) {
    throw new TypeError(`${procedure} answers with a stream, which only a subscription may.`);
  }
  const body = toJson(value);
  if (body === undefined) return new Response(null, { status: 204 });
  return new Response(body, { headers: { "content-type": "application/json" } });
}

function toAsyncIterable(result: unknown, procedure: string, signal: AbortSignal): AsyncIterable<unknown> {
  if (isObservable(result)) return observableToAsyncIterable(result, signal);
  if (isStream(result)) return result;
  throw new TypeError(`${procedure} is a subscription, but answers with no async iterable or observable.`);
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
