/** Which way each call takes: subscriptions over the one WebSocket, all else over HTTP unless told otherwise. */
import type { AppRouter } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { httpBatchLink, httpLink, type Operation, splitLink, type TRPCLink, wsLink } from "@trpc/client";
import superjson from "superjson";
import { createCallWindow, jsonLength } from "./call-window.ts";
import type { GuardedFetch } from "./guarded-fetch.ts";
import type { Socket } from "./socket.ts";

export interface LinkOptions {
  url: URL;
  token: string | undefined;
  fetch: GuardedFetch;
  socket: Socket;
  calls: CallsOver;
}

/** What queries and mutations travel over. */
export type CallsOver = "http" | "websocket";

/** Calls of one HTTP request at the most; the server takes as many. */
const maxBatchSize = 10;
/** Together with the headers below the 16 kB that Node takes before the body. */
const maxUrlLength = 8_000;
/** A larger input travels alone and over HTTP, so that batches and frames stay far below the limit of a body. */
const maxBatchedInputChars = 16_384;
/** At up to three bytes a character, two thirds of the largest frame that the daemon takes. */
const maxUnansweredChars = 2_000_000;
/** Proxies end an HTTP request that stays silent for a minute, and Node's fetch itself one of five. */
const longestHttpWaitMs = 50_000;

const transformer = {
  input: { serialize: serializeInput, deserialize: superjson.deserialize },
  output: superjson,
};

export function createLinks({ url, token, fetch, socket, calls }: LinkOptions): TRPCLink<AppRouter>[] {
  const http = {
    url,
    fetch,
    transformer,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
  return [
    splitLink({
      condition: (op) => op.type === "subscription" || waitsLong(op) || (calls === "websocket" && isSmall(op)),
      true: [createCallWindow(maxUnansweredChars), socket.counting, wsLink({ client: socket.client, transformer })],
      false: splitLink({
        condition: mayShareARequest,
        true: httpBatchLink({ ...http, maxItems: maxBatchSize, maxURLLength: maxUrlLength }),
        false: httpLink(http),
      }),
    }),
  ];
}

/**
 * A batch answers when its slowest call does, and these wait for others. Collecting one takes a timer's tick, which is
 * longer than a daemon on the same machine takes to accept a run; acknowledgements are collected before they come here.
 */
const alone = new Set(["runs.result", "runs.spawn", "messages.request", "messages.ack"]);

function mayShareARequest(op: Operation): boolean {
  return !alone.has(op.path) && isSmall(op);
}

function isSmall({ input }: Operation): boolean {
  return jsonLength(input) <= maxBatchedInputChars;
}

function waitsLong({ path, input }: Operation): boolean {
  if (path !== "messages.request" || typeof input !== "object" || input === null) return false;
  return "timeout_ms" in input && typeof input.timeout_ms === "number" && input.timeout_ms > longestHttpWaitMs;
}

/**
 * Properties that are undefined are left out, as JSON does. What superjson refuses (a key `constructor`, say) would
 * otherwise look like a connection that broke.
 */
function serializeInput(input: unknown) {
  try {
    const serialized = superjson.serialize(input);
    // It says nothing more of what is JSON already, which is nearly everything.
    return serialized.meta ? superjson.serialize(withoutUndefined(input)) : serialized;
  } catch (cause) {
    const isTooDeep = cause instanceof RangeError;
    const why = isTooDeep ? "it is nested too deep." : cause instanceof Error ? cause.message : String(cause);
    throw new KsiError("INVALID_INPUT", `The input cannot be sent: ${why}`, { cause });
  }
}

/** What is nested deeper is refused by the daemon; it may hold itself. */
const deepest = 110;

function withoutUndefined(value: unknown, depth = 0): unknown {
  if (depth > deepest) return value;
  if (Array.isArray(value)) return value.map((member) => withoutUndefined(member, depth + 1));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.map(([key, member]) => [key, withoutUndefined(member, depth + 1)]));
}
