/** Which way each call takes: subscriptions over the one WebSocket, all else over HTTP. */
import type { AppRouter } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { httpBatchLink, httpLink, type Operation, splitLink, type TRPCLink, wsLink } from "@trpc/client";
import superjson from "superjson";
import type { GuardedFetch } from "./guarded-fetch.ts";
import type { Socket } from "./socket.ts";

export interface LinkOptions {
  url: URL;
  token: string | undefined;
  fetch: GuardedFetch;
  socket: Socket;
}

/** Calls of one HTTP request at the most; the server takes as many. */
const maxBatchSize = 10;
/** Together with the headers below the 16 kB that Node takes before the body. */
const maxUrlLength = 8_000;
/** A larger input travels alone, so that a batch stays far below the limit of a body. */
const maxBatchedInputChars = 16_384;

const transformer = {
  input: { serialize: serializeInput, deserialize: superjson.deserialize },
  output: superjson,
};

export function createLinks({ url, token, fetch, socket }: LinkOptions): TRPCLink<AppRouter>[] {
  const http = {
    url,
    fetch,
    transformer,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
  return [
    splitLink({
      condition: ({ type }) => type === "subscription",
      true: [socket.counting, wsLink({ client: socket.client, transformer })],
      false: splitLink({
        condition: mayShareARequest,
        true: httpBatchLink({ ...http, maxItems: maxBatchSize, maxURLLength: maxUrlLength }),
        false: httpLink(http),
      }),
    }),
  ];
}

/**
 * A batch answers when its slowest call does, and `runs.result` waits for a run. Collecting one takes a timer's tick,
 * which is longer than a daemon on the same machine takes to accept a run.
 */
const alone = new Set(["runs.result", "runs.spawn"]);

function mayShareARequest({ path, input }: Operation): boolean {
  return !alone.has(path) && jsonLength(input) <= maxBatchedInputChars;
}

/** Infinite for what JSON cannot hold, such as a bigint: superjson can, and the daemon says what is wrong with it. */
function jsonLength(input: unknown): number {
  try {
    return JSON.stringify(input ?? null).length;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** What superjson refuses (a key `constructor`, say) would otherwise look like a connection that broke. */
function serializeInput(input: unknown) {
  try {
    return superjson.serialize(input);
  } catch (cause) {
    const isTooDeep = cause instanceof RangeError;
    const why = isTooDeep ? "it is nested too deep." : cause instanceof Error ? cause.message : String(cause);
    throw new KsiError("INVALID_INPUT", `The input cannot be sent: ${why}`, { cause });
  }
}
