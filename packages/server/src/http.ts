/** The HTTP door: tRPC, health and tickets as one fetch-style app. */
import { randomUUID } from "node:crypto";
import { appRouter, type Context, KsiError, trpcCodes, unauthorized } from "@ksi/contract";
import { TRPCError } from "@trpc/server";
import { getHTTPStatusCodeFromError, resolveResponse } from "@trpc/server/http";
import { Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { DoorOptions } from "./doors.ts";
import { logCallError } from "./log-call-error.ts";
import { readBody } from "./read-body.ts";
import { bearerOf } from "./token.ts";

export interface HttpAppOptions extends DoorOptions {
  /** Adds the cause to `INTERNAL` answers outside tRPC. */
  readonly debug: boolean;
}

export type HttpApp = Hono<{ Variables: { requestId: string } }>;

/**
 * `/trpc/*`, `POST /api/v1/tickets`, and without a token `GET /health` (503 when Redis is away) and `GET /ready` (503
 * while draining). Answers outside tRPC that are errors have the body `{ error: { code, message, … } }`.
 */
export function createHttpApp(options: HttpAppOptions): HttpApp {
  const app: HttpApp = new Hono();
  app.use(traceRequests(options), setSecurityHeaders, checkRequest(options), allowOrigins(options));
  app.get("/health", async (c) => {
    const health = await options.health();
    return c.json(health, health.status === "ok" ? 200 : 503);
  });
  app.get("/ready", (c) =>
    options.isDraining() ? c.json({ status: "draining" }, 503) : c.json({ status: "ready" }, 200),
  );
  app.post("/api/v1/tickets", (c) => {
    if (!options.isToken(bearerOf(c.req.header("authorization")))) throw unauthorized();
    return c.json(options.tickets.issue());
  });
  app.all("/trpc/*", (c) => answerTrpc(c.req.raw, { ...options, requestId: c.var.requestId }));
  app.notFound((c) => errorResponse(new KsiError("NOT_FOUND", `There is nothing at ${c.req.method} ${c.req.path}.`)));
  app.onError((thrown, c) => {
    const error = KsiError.from(thrown);
    if (error.code === "INTERNAL") {
      options.logger.error({ err: error.cause, path: c.req.path, request_id: c.var.requestId }, "request failed");
    }
    return errorResponse(error, options.debug ? { cause: String(error.cause) } : {});
  });
  return app;
}

function traceRequests({ logger }: HttpAppOptions): MiddlewareHandler<{ Variables: { requestId: string } }> {
  return async (c, next) => {
    const startedAt = performance.now();
    const offered = c.req.header("x-request-id");
    const requestId = offered && /^[\w.-]{1,64}$/.test(offered) ? offered : randomUUID();
    c.set("requestId", requestId);
    await next();
    c.res.headers.set("x-request-id", requestId);
    const { method, path } = c.req;
    const ms = Math.round(performance.now() - startedAt);
    // Probes come every few seconds and say nothing new.
    const level = path === "/health" || path === "/ready" ? "debug" : "info";
    logger[level]({ method, path, status: c.res.status, ms, request_id: requestId }, "request");
  };
}

const securityHeaders = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const setSecurityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(securityHeaders)) {
    if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  }
};

function checkRequest({ guard }: DoorOptions): MiddlewareHandler {
  return async (c, next) => {
    const refusal = guard.refusal({ host: c.req.header("host"), origin: c.req.header("origin") });
    if (refusal) throw refusal;
    await next();
  };
}

function allowOrigins({ guard }: DoorOptions): MiddlewareHandler {
  return cors({
    origin: (origin, c) => (guard.allowsOrigin(origin, c.req.header("host")) ? origin : null),
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders: ["authorization", "content-type", "last-event-id", "trpc-accept", "x-request-id"],
    exposeHeaders: ["retry-after", "x-request-id"],
    maxAge: 600,
  });
}

async function answerTrpc(request: Request, options: DoorOptions & { requestId: string }): Promise<Response> {
  const { logger, maxBatchSize, maxBodyBytes, requestId } = options;
  const body = await readBody(request, maxBodyBytes);
  return await resolveResponse<typeof appRouter>({
    router: appRouter,
    path: new URL(request.url).pathname.slice("/trpc/".length),
    // A request of Node's own: the body has been read, and the adapter's stand-in cannot be given another.
    req: new Request(request.url, {
      method: request.method,
      headers: request.headers,
      signal: request.signal,
      ...(body instanceof Uint8Array && { body }),
    }),
    error: body === "too large" ? tooLarge(maxBodyBytes) : null,
    createContext: async (): Promise<Context> => ({
      health: options.health,
      ports: isAuthorized(request, options) ? options.ports : undefined,
    }),
    maxBatchSize,
    onError: ({ error, path }) => logCallError(logger, error, { procedure: path, request_id: requestId }),
  });
}

function isAuthorized(request: Request, { isToken, tickets }: DoorOptions): boolean {
  if (isToken(bearerOf(request.headers.get("authorization")))) return true;
  // EventSource can send no header. Only streams take a ticket, since only they are opened by such a client.
  if (!request.headers.get("accept")?.includes("text/event-stream")) return false;
  const ticket = new URL(request.url).searchParams.get("ticket");
  return ticket !== null && tickets.redeem(ticket);
}

function tooLarge(maxBytes: number): TRPCError {
  const cause = new KsiError("PAYLOAD_TOO_LARGE", `The body is over the limit of ${maxBytes} bytes.`);
  return new TRPCError({ code: trpcCodes[cause.code], message: cause.message, cause });
}

function errorResponse({ code, message, details }: KsiError, extra: object = {}): Response {
  const status = getHTTPStatusCodeFromError(new TRPCError({ code: trpcCodes[code] }));
  const retryAfter = details?.retry_after_ms && { "retry-after": String(Math.ceil(details.retry_after_ms / 1_000)) };
  return Response.json({ error: { code, message, ...details, ...extra } }, { status, headers: { ...retryAfter } });
}
