/**
 * A subscription as server-sent events.
 *
 * The head waits for the first item, so that an error before it can still be the answer, with its status; but not for
 * longer than `openingMs`, so that a client knows that it is connected. From then on the stream asks for items as its reader
 * takes them. It ends with the subscription, with an error event, or when either side gives up.
 */
import { isTrackedEnvelope } from "@trpc/server";
import { toJson } from "./json.ts";
import { createPullSource, type PullSource } from "./pull-source.ts";

export interface EventStreamOptions {
  /** The call of the procedure. */
  readonly items: Promise<AsyncIterable<unknown>>;
  /** Aborts when the request does, or with `abort`. */
  readonly signal: AbortSignal;
  /** Aborts the signal that the procedure has. */
  readonly abort: () => void;
  readonly openingMs: number;
  /** Between comments on a stream that is silent. */
  readonly keepAliveMs: number;
  /** The JSON, in one line, for an error that comes after the head. */
  readonly toErrorBody: (thrown: unknown) => string;
}

/** Rejects with what the call or its first item threw. 204 where it ended without any item: an EventSource stays away then. */
export async function openEventStream(options: EventStreamOptions): Promise<Response> {
  const { items, signal, abort, openingMs } = options;
  const source = createPullSource(items);
  signal.addEventListener("abort", source.stop, { once: true });
  if (signal.aborted) source.stop();
  await source.wait(openingMs);
  const { outcome } = source;
  if (outcome?.kind === "end") return new Response(null, { status: 204 });
  if (outcome?.kind === "error" || signal.aborted) {
    abort();
    throw outcome?.kind === "error" ? outcome.thrown : signal.reason;
  }
  return new Response(toByteStream(source, options), { headers });
}

const headers = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  // Nginx would collect a stream before it hands it on.
  "x-accel-buffering": "no",
};

const comment = ":\n\n";

/** What is there at once goes out as one chunk of about this size. */
const chunkSize = 64 * 1024;

function toByteStream(source: PullSource<unknown>, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let isCancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        if (!source.outcome) controller.enqueue(encoder.encode(comment));
      },
      async pull(controller) {
        const { text, isLast } = await nextChunk(source, options);
        if (isCancelled) return;
        if (text) controller.enqueue(encoder.encode(text));
        if (isLast) controller.close();
      },
      cancel() {
        isCancelled = true;
        options.abort();
      },
    },
    // With any more the stream would ask for items that nobody reads.
    { highWaterMark: 0 },
  );
}

interface Chunk {
  readonly text: string;
  readonly isLast: boolean;
}

async function nextChunk(source: PullSource<unknown>, options: EventStreamOptions): Promise<Chunk> {
  const { signal, abort, keepAliveMs, toErrorBody } = options;
  let text = "";
  try {
    while (text.length < chunkSize) {
      await (text ? source.waitBriefly() : source.wait(keepAliveMs));
      const { outcome } = source;
      if (signal.aborted) return { text, isLast: true };
      if (!outcome) return { text: text || comment, isLast: false };
      if (outcome.kind === "end") return { text, isLast: true };
      if (outcome.kind === "error") throw outcome.thrown;
      source.take();
      text += toEvent(outcome.value);
    }
    return { text, isLast: false };
  } catch (thrown) {
    abort();
    return { text: `${text}event: error\ndata: ${toErrorBody(thrown)}\n\n`, isLast: true };
  }
}

function toEvent(item: unknown): string {
  if (!isTrackedEnvelope(item)) return `data: ${toJson(item) ?? "null"}\n\n`;
  const [id, data] = item;
  return `id: ${id}\ndata: ${toSharedJson(data)}\n\n`;
}

const encoded = new WeakMap<object, string>();

/** A frozen value, such as an event that many streams are given, is encoded once. */
function toSharedJson(data: unknown): string {
  if (typeof data !== "object" || data === null || !Object.isFrozen(data)) return toJson(data) ?? "null";
  const known = encoded.get(data) ?? toJson(data) ?? "null";
  encoded.set(data, known);
  return known;
}
