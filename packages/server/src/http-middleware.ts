/** What every HTTP answer has, whichever surface gave it: a line in the log, an id, safe headers, CORS. */
import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { DoorOptions } from "./doors.ts";

export interface HttpVariables {
  Bindings: HttpBindings;
  Variables: { requestId: string };
}

/** Takes over the caller's `x-request-id`, or makes one; logs method, path without query, status, time and that id. */
export function traceRequests({ logger }: DoorOptions): MiddlewareHandler<HttpVariables> {
  return async (c, next) => {
    const startedAt = performance.now();
    const offered = c.req.header("x-request-id");
    const requestId = offered && /^[\w.-]{1,64}$/.test(offered) ? offered : randomUUID();
    c.set("requestId", requestId);
    await next();
    c.res.headers.set("x-request-id", requestId);
    const { method, path } = c.req;
    const ms = Math.round(performance.now() - startedAt);
    // As proxies log a caller that went away: whatever the answer was, nobody got it.
    const status = c.req.raw.signal.aborted ? 499 : c.res.status;
    // Probes come every few seconds and say nothing new.
    const level = path === "/health" || path === "/ready" ? "debug" : "info";
    logger[level]({ method, path, status, ms, request_id: requestId }, "request");
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

/** Those that an answer does not set itself. */
export const setSecurityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(securityHeaders)) {
    if (!c.res.headers.has(name)) c.res.headers.set(name, value);
  }
};

/** Throws `FORBIDDEN` for a Host or Origin that may not call. */
export function checkRequest({ guard }: DoorOptions): MiddlewareHandler {
  return async (c, next) => {
    const refusal = guard.refusal({ host: c.req.header("host"), origin: c.req.header("origin") });
    if (refusal) throw refusal;
    await next();
  };
}

/**
 * Lets pages of allowed origins send what headers they like and read all that come back: SDKs add their own, a new one
 * with every version, and other origins have been refused before. There are no cookies that such a page could abuse.
 */
export function allowOrigins({ guard }: DoorOptions): MiddlewareHandler {
  const answer = cors({
    origin: (origin, c) => (guard.allowsOrigin(origin, c.req.header("host")) ? origin : null),
    allowMethods: ["GET", "POST", "PUT", "PATCH", "DELETE"],
    // None named: those that the preflight asks for.
    allowHeaders: [],
    exposeHeaders: ["*"],
    maxAge: 600,
  });
  return async (c, next) => {
    // OPTIONS that is no preflight asks what the path itself takes.
    const isPreflight = c.req.header("access-control-request-method") !== undefined;
    return c.req.method === "OPTIONS" && !isPreflight ? await next() : await answer(c, next);
  };
}
