/** The HTTP door: every surface as one fetch-style app, and what all of them have in common. */
import { KsiError } from "@ksi/contract";
import { errorResponse } from "@ksi/openapi/ksi";
import { openAiErrorResponse } from "@ksi/openapi/openai";
import { type Context, type Handler, Hono } from "hono";
import { createAdmission } from "./admission.ts";
import { serveDocs, serveDocument } from "./document-door.ts";
import type { HttpDoorOptions } from "./doors.ts";
import {
  allowOrigins,
  checkRequest,
  type HttpVariables,
  setSecurityHeaders,
  traceRequests,
} from "./http-middleware.ts";
import { logCallError } from "./log-call-error.ts";
import { serveOpenAi } from "./openai-door.ts";
import { closeAfterRefusedBody } from "./refused-bodies.ts";
import { serveRest } from "./rest-door.ts";
import { serveTrpc } from "./trpc-door.ts";

export type HttpApp = Hono<HttpVariables>;

/**
 * `/trpc/*`, `/api/v1/*` (REST) and `/v1/*` (OpenAI) for callers with the token. For everybody `GET /health` (503 when
 * Redis is away or refuses writes), `GET /ready` (503 while draining), `GET /openapi.json` and `GET /docs`, to which `/`
 * leads browsers.
 *
 * Errors have the body `{ error: { code, message, … } }`; under `/v1` OpenAI's, under `/trpc` tRPC's.
 */
export function createHttpApp(options: HttpDoorOptions): HttpApp {
  const app: HttpApp = new Hono();
  const admission = createAdmission(options);
  app.use(
    closeAfterRefusedBody(options),
    traceRequests(options),
    setSecurityHeaders,
    checkRequest(options),
    allowOrigins(options),
  );

  app.get("/", showTheWay);
  serve(app, "GET", "/health", async (c) => {
    const health = await options.health();
    return c.json(health, health.status === "ok" ? 200 : 503);
  });
  serve(app, "GET", "/ready", (c) =>
    options.isDraining() ? c.json({ status: "draining" }, 503) : c.json({ status: "ready" }, 200),
  );
  serve(app, "GET", "/openapi.json", serveDocument());
  serve(app, "GET", "/docs/*", serveDocs());
  serve(app, "GET", "/ws", askForUpgrade);
  serve(app, "POST", "/api/v1/tickets", (c) => {
    admission.requirePorts(c.req.raw);
    return c.json(options.tickets.issue());
  });
  app.all("/api/v1/*", serveRest(admission, options));
  app.all("/v1/*", serveOpenAi(admission, options));
  app.all("/trpc/*", serveTrpc(admission, options));

  app.notFound((c) => answerError(c, new KsiError("NOT_FOUND", `There is nothing at ${c.req.method} ${c.req.path}.`)));
  app.onError((thrown, c) => {
    const error = KsiError.from(thrown);
    logCallError(options.logger, error, { path: c.req.path, request_id: c.var.requestId }, c.req.raw.signal);
    const isTold = options.debug && error.code === "INTERNAL";
    return answerError(c, error, isTold ? { cause: String(error.cause) } : {});
  });
  return app;
}

/** One method at a path; OPTIONS names it, and the others are 405. */
function serve(app: HttpApp, method: "GET" | "POST", path: string, handler: Handler<HttpVariables>): void {
  const allow = method === "GET" ? "GET, HEAD, OPTIONS" : `${method}, OPTIONS`;
  app.on(method, path, handler);
  app.options(path, () => new Response(null, { status: 204, headers: { allow } }));
  app.all(path, (c) => {
    const response = errorResponse(new KsiError("METHOD_NOT_ALLOWED", `${c.req.path} is asked with ${allow}.`));
    response.headers.set("allow", allow);
    return response;
  });
}

/** For a person who opens the daemon's address in a browser; to programs there is nothing here. */
const showTheWay: Handler = (c) =>
  c.req.header("accept")?.includes("text/html")
    ? new Response(null, { status: 302, headers: { location: "/docs", vary: "accept" } })
    : c.notFound();

const askForUpgrade: Handler = () => {
  const error = new KsiError("MALFORMED_REQUEST", "Events come over WebSocket here: connect to ws://, not to http://.");
  const { body, headers } = errorResponse(error);
  const upgrade = { connection: "upgrade", upgrade: "websocket" };
  return new Response(body, { status: 426, headers: { ...Object.fromEntries(headers), ...upgrade } });
};

/** In the shape of the surface that the path belongs to. */
function answerError({ req: { path } }: Context, error: KsiError, extra: object = {}): Response {
  return path === "/v1" || path.startsWith("/v1/") ? openAiErrorResponse(error) : errorResponse(error, extra);
}
