/**
 * Subscriptions over tRPC's socket, sent past tRPC.
 *
 * tRPC reads the call, validates it, authorizes it and says that it has started. Then it asks what the procedure returned
 * for its first event, and there it is kept waiting until the follow ends: the events go to the socket as frames that all
 * subscribers of the channel share, in the words that tRPC itself would use. How a subscription ends, in peace, with an
 * error or stopped, is tRPC's again.
 *
 * Which call a follow belongs to is known from that order: the follow is iterated in the same breath in which tRPC has
 * encoded `started` for its call.
 */
import { type Entry, type Follow, KsiError, type Ports } from "@ksi/contract";
import { type Encoder, jsonEncoder } from "@trpc/server/adapters/ws";
import { createFramer } from "./event-frames.ts";
import type { SocketWriter } from "./socket-writer.ts";

export interface TrpcFollows {
  /** The ports for the socket's context. */
  readonly ports: Ports;
  /** For the socket's tRPC handler, and for nobody else. */
  readonly encoder: Encoder;
}

export interface TrpcFollowsOptions {
  readonly ports: Ports;
  readonly writer: SocketWriter;
  /** Open at one time. */
  readonly maxSubscriptions: number;
}

/** For one socket. Beyond `maxSubscriptions` a call is `RATE_LIMITED`. */
export function createTrpcFollows({ ports, writer, maxSubscriptions }: TrpcFollowsOptions): TrpcFollows {
  let started: StartedCall | undefined;
  let subscriptions = 0;

  const encoder: Encoder = {
    encode(message) {
      // Many answers come in one turn: those to calls that one script call of Redis carried out.
      writer.makeRoom();
      started = toStartedCall(message);
      return jsonEncoder.encode(message);
    },
    decode: (data) => jsonEncoder.decode(data),
  };

  async function serve<E>(open: () => Promise<Follow<E>>, signal: AbortSignal | undefined): Promise<Follow<E>> {
    if (subscriptions >= maxSubscriptions) throw tooManySubscriptions(maxSubscriptions);
    subscriptions += 1;
    const end = once(() => {
      subscriptions -= 1;
      signal?.removeEventListener("abort", end);
    });
    signal?.addEventListener("abort", end);
    try {
      return sendPastTrpc(await open(), end);
    } catch (thrown) {
      end();
      throw thrown;
    }
  }

  /** The same follow, which sends what it has and then gives nothing to whoever iterates it. */
  function sendPastTrpc<E>(follow: Follow<E>, onEnd: () => void): Follow<E> {
    return {
      ...follow,
      [Symbol.asyncIterator]() {
        const head = headOf(started);
        started = undefined;
        return {
          async next() {
            try {
              await sendAll(follow, head);
              return { done: true, value: undefined };
            } finally {
              onEnd();
            }
          },
        };
      },
    };
  }

  async function sendAll(follow: Follow<unknown>, head: string): Promise<void> {
    for await (const batch of follow.batches()) {
      writer.write(frames(batch, head));
      const writable = writer.whenWritable();
      // The next batch is asked for only then: until it is, what comes waits in the log, at the follow's own cursor.
      if (writable) await writable;
    }
  }

  const { runs, messages, events } = ports;
  return {
    encoder,
    ports: {
      ...ports,
      runs: { ...runs, events: (run, from, signal) => serve(() => runs.events(run, from, signal), signal) },
      messages: { ...messages, inbox: (input, signal) => serve(() => messages.inbox(input, signal), signal) },
      events: { ...events, subscribe: (is, from, signal) => serve(() => events.subscribe(is, from, signal), signal) },
    },
  };
}

interface StartedCall {
  readonly id: unknown;
  readonly jsonrpc?: unknown;
  readonly result: { readonly type: "started" };
}

function toStartedCall(message: unknown): StartedCall | undefined {
  const { result } = (message ?? {}) as Partial<StartedCall>;
  return result?.type === "started" ? (message as StartedCall) : undefined;
}

/** What the text of each event begins with: what tRPC repeats of the call. */
function headOf(started: StartedCall | undefined): string {
  if (!started) throw new Error("A follow was iterated, and tRPC had not just started its call.");
  const { id, jsonrpc } = started;
  return `${JSON.stringify({ id, jsonrpc }).slice(0, -1)},"result":`;
}

/** A tracked event as tRPC writes it, with superjson's wrapping of a value that is plain JSON. */
const frames = createFramer(({ cursor, json }: Entry<unknown>) => {
  return `{"type":"data","id":"${cursor}","data":{"json":{"id":"${cursor}","data":${json}}}}}`;
});

function tooManySubscriptions(max: number): KsiError {
  return new KsiError(
    "RATE_LIMITED",
    `This WebSocket has ${max} subscriptions, which is as many as it may have. End some, or open another one.`,
  );
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
