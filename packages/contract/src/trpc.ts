/** The tRPC instance, what a procedure knows of its caller, and the table from our error codes to tRPC's. */
import { initTRPC, TRPCError, tracked } from "@trpc/server";
import superjson from "superjson";
import { z } from "zod";
import { readCallInput, refuseUnreadable } from "./call-input.ts";
import { type ErrorCode, KsiError, type WireError } from "./errors.ts";
import { issuesOf } from "./plain-words.ts";
import type { Follow, Ports, SystemPort } from "./ports.ts";

export interface Context {
  /** The ports of the caller's tenant; absent when the caller has shown no valid token. */
  ports?: Ports | undefined;
  /** For what may be asked without a token. */
  health: SystemPort["health"];
}

/** The convention of trpc-openapi: where the REST adapter serves the procedure. */
export interface OpenApiMeta {
  openapi?: {
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    path: `/${string}`;
    summary: string;
    tags: string[];
    /** Whole sentences; may hold Markdown. */
    description?: string;
    /** `false` where no token is needed. */
    protect?: boolean;
    /** Statuses beside those that any call can have. */
    errorResponses?: number[];
  };
}

export const trpcCodes = {
  INVALID_INPUT: "BAD_REQUEST",
  MALFORMED_REQUEST: "PARSE_ERROR",
  UNAUTHORIZED: "UNAUTHORIZED",
  FORBIDDEN: "FORBIDDEN",
  NOT_FOUND: "NOT_FOUND",
  METHOD_NOT_ALLOWED: "METHOD_NOT_SUPPORTED",
  CONFLICT: "CONFLICT",
  PAYLOAD_TOO_LARGE: "PAYLOAD_TOO_LARGE",
  UNSUPPORTED_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
  RATE_LIMITED: "TOO_MANY_REQUESTS",
  TIMEOUT: "TIMEOUT",
  NO_AGENT: "NOT_FOUND",
  INBOX_FULL: "TOO_MANY_REQUESTS",
  LOOP_DETECTED: "UNPROCESSABLE_CONTENT",
  AGENT_FAILED: "BAD_GATEWAY",
  CANCELLED: "CLIENT_CLOSED_REQUEST",
  HISTORY_TRIMMED: "PRECONDITION_FAILED",
  STORE_UNAVAILABLE: "SERVICE_UNAVAILABLE",
  SHUTTING_DOWN: "SERVICE_UNAVAILABLE",
  CONNECTION_LOST: "BAD_GATEWAY",
  INTERNAL: "INTERNAL_SERVER_ERROR",
  RUNNER_NOT_FOUND: "BAD_GATEWAY",
  RUNNER_NOT_EXECUTABLE: "BAD_GATEWAY",
  RUNNER_CRASHED: "BAD_GATEWAY",
  RUNNER_BAD_OUTPUT: "BAD_GATEWAY",
  RUNNER_OUTPUT_TOO_LARGE: "BAD_GATEWAY",
  SESSION_NOT_FOUND: "NOT_FOUND",
  SESSION_IN_USE: "CONFLICT",
  MODEL_NOT_FOUND: "BAD_REQUEST",
  MODEL_AUTH: "BAD_GATEWAY",
  MODEL_RATE_LIMITED: "TOO_MANY_REQUESTS",
  MODEL_OVERLOADED: "SERVICE_UNAVAILABLE",
  MODEL_ERROR: "BAD_GATEWAY",
  MAX_TURNS: "UNPROCESSABLE_CONTENT",
  BUDGET_EXCEEDED: "UNPROCESSABLE_CONTENT",
  OUTPUT_INVALID: "UNPROCESSABLE_CONTENT",
  RUN_CANCELLED: "CLIENT_CLOSED_REQUEST",
  RUN_TIMED_OUT: "GATEWAY_TIMEOUT",
  WORKER_LOST: "BAD_GATEWAY",
} as const satisfies Record<ErrorCode, TRPCError["code"]>;

const t = initTRPC
  .context<Context>()
  .meta<OpenApiMeta>()
  .create({
    transformer: {
      input: { serialize: superjson.serialize, deserialize: readCallInput },
      output: superjson,
    },
    // Without this tRPC puts the stack into every error body outside NODE_ENV=production.
    isDev: false,
    errorFormatter: ({ shape, error }) => {
      const ksi = toWireError(error);
      return { ...shape, message: ksi.message, data: { ...shape.data, ksi } };
    },
  });

export const router = t.router;

/** Turns what a port rejects with into tRPC's own error, once for all procedures. */
function withKsiError<Outcome extends { ok: boolean; error?: TRPCError }>(outcome: Outcome): Outcome {
  if (outcome.ok || !(outcome.error?.cause instanceof KsiError)) return outcome;
  throw toTrpcError(outcome.error.cause);
}

/** For the few procedures that need no token. */
export const publicProcedure = t.procedure.use(async ({ next }) => withKsiError(await next()));

/** For all others: `ctx.ports` is there, and is the caller's own. One middleware, since each costs every call. */
export const procedure = t.procedure.use(async ({ ctx, next, getRawInput }) => {
  if (!ctx.ports) throw toTrpcError(unauthorized());
  const input = await getRawInput();
  try {
    refuseUnreadable(input);
  } catch (thrown) {
    throw toTrpcError(thrown);
  }
  return withKsiError(await next({ ctx: { ports: ctx.ports } }));
});

/** What every door answers to a caller who has shown no valid token. */
export function unauthorized(): KsiError {
  return new KsiError("UNAUTHORIZED", "This needs the daemon's token: see `ksi token`, or {data_dir}/token.");
}

/**
 * Serves a follow as a tRPC subscription: cursors become tracked ids, so that clients resume by themselves.
 *
 * The follow is opened before it is served: what opening it rejects with is then the answer to the call.
 */
export async function* subscription<E>(follow: Follow<E>) {
  try {
    for await (const { cursor, event } of follow) yield tracked(cursor, event);
  } catch (thrown) {
    // What is thrown while iterating passes no middleware any more.
    throw toTrpcError(thrown);
  }
}

function toTrpcError(thrown: unknown): TRPCError {
  const cause = KsiError.from(thrown);
  return new TRPCError({ code: trpcCodes[cause.code], message: cause.message, cause });
}

/** What a caller may know of an error; the cause of an `INTERNAL` one stays in the log. */
export function toWireError(error: TRPCError): WireError {
  if (error.cause instanceof KsiError) return error.cause.toJSON();
  // A ZodError under any other code is an answer of ours that failed its own schema: a fault, and not the caller's.
  if (error.code === "BAD_REQUEST" && error.cause instanceof z.ZodError) return invalidInput(error.cause).toJSON();
  if (error.code === "INTERNAL_SERVER_ERROR") return KsiError.from(error.cause ?? error).toJSON();
  const code = codeOfTrpc[error.code] ?? "MALFORMED_REQUEST";
  // With a cause, the message is that of whatever tripped over the request; without one, it is tRPC's own sentence.
  return { code, message: error.cause ? unreadable : error.message };
}

const unreadable =
  'The request cannot be read. tRPC\'s inputs are JSON, wrapped as {"json": …} by its superjson transformer.';

/** What tRPC itself raises, before any procedure of ours is reached. */
const codeOfTrpc: Partial<Record<TRPCError["code"], ErrorCode>> = {
  NOT_FOUND: "NOT_FOUND",
  METHOD_NOT_SUPPORTED: "METHOD_NOT_ALLOWED",
  UNAUTHORIZED: "UNAUTHORIZED",
  FORBIDDEN: "FORBIDDEN",
  PAYLOAD_TOO_LARGE: "PAYLOAD_TOO_LARGE",
  UNSUPPORTED_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
  CLIENT_CLOSED_REQUEST: "CANCELLED",
  TIMEOUT: "TIMEOUT",
};

/** One sentence that names each field, and the same as `details.issues`. */
export function invalidInput(error: z.ZodError): KsiError {
  const issues = issuesOf(error);
  const sentence = issues
    .map(({ path, message }) => (path ? `${path}: ${message}` : `The input ${message}`))
    .join("; ");
  return new KsiError("INVALID_INPUT", sentence, { details: { issues }, cause: error });
}
