/** The answer as a stream of chunks. */
import { isFinalRunEvent, KsiError, type RunEvent, type SpawnAccepted } from "@ksi/contract";
import { completedOf, contentOf } from "./answer-facts.ts";
import { type ChatChunks, createChatChunks, errorFrame, keepAlive } from "./chat-chunks.ts";
import type { AnswerForm } from "./chat-request.ts";
import { withoutRetracted } from "./retractions.ts";
import type { RunWatch } from "./run-watch.ts";

export interface StreamOptions {
  readonly watch: RunWatch;
  readonly run: SpawnAccepted;
  readonly form: AnswerForm;
  /** How long the head may wait for the first sign of an answer. */
  readonly openingMs: number;
  readonly keepAliveMs: number;
  /** Told when the run can no longer be followed. */
  readonly onError: (error: KsiError) => void;
}

/**
 * Resolves with the body as soon as the agent says something, uses a tool or ends, at the latest after `openingMs`. Up
 * to then it rejects as the run fails, so that an early failure has its true status; later failures are the last frame.
 *
 * Nothing is read from the run that the client does not take.
 */
export async function openChatStream(options: StreamOptions): Promise<ReadableStream<Uint8Array>> {
  const { watch, run, form, openingMs } = options;
  const opening = await readOpening(watch, openingMs, form);
  const chunks = createChatChunks(run, form, opening[0]);
  const first = chunks.open() + opening.map(chunks.of).join("");
  return createBody(first, opening.some(isFinalRunEvent), chunks, options);
}

/** The events until the first that the client is to hear of. */
async function readOpening(watch: RunWatch, openingMs: number, form: AnswerForm): Promise<readonly RunEvent[]> {
  const opening: RunEvent[] = [];
  const deadline = performance.now() + openingMs;
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) return opening;
    const events = withoutRetracted(await watch.take(left));
    // Of what has come and is not told to the client only the beginning is of use, and thinking can be long.
    opening.push(...events.filter((event) => opening.length === 0 || isTold(event)));
    const last = opening.find(isFinalRunEvent);
    // For what they throw.
    if (last) contentOf(completedOf(last), form);
    if (opening.some(isTold)) return opening;
  }
}

function isTold(event: RunEvent): boolean {
  if (event.event_type === "run.text") return event.payload.text !== "";
  return event.event_type === "run.tool_use" || isFinalRunEvent(event);
}

function createBody(
  first: string,
  isOverAtOnce: boolean,
  chunks: ChatChunks,
  { watch, keepAliveMs, onError }: StreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let opening: string | undefined = first;
  let isOver = isOverAtOnce;
  let isCancelled = false;

  async function next(): Promise<string> {
    if (opening !== undefined) {
      const text = opening;
      opening = undefined;
      return text;
    }
    const deadline = performance.now() + keepAliveMs;
    for (;;) {
      const left = deadline - performance.now();
      // Also while the agent thinks, of which the client hears nothing.
      if (left <= 0) return keepAlive;
      const events = withoutRetracted(await watch.take(left));
      if (events.some(isFinalRunEvent)) isOver = true;
      const text = tell(events);
      if (text !== "") return text;
    }
  }

  /** An answer that can have no end any more is over, and its run is not: its result is still of use. */
  function tell(events: readonly RunEvent[]): string {
    let text = "";
    try {
      for (const event of events) text += chunks.of(event);
      return text;
    } catch (thrown) {
      isOver = true;
      watch.release();
      return text + errorFrame(KsiError.from(thrown));
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const text = await next().catch((thrown: unknown) => {
          const error = KsiError.from(thrown);
          isOver = true;
          onError(error);
          return errorFrame(error);
        });
        if (isCancelled) return;
        controller.enqueue(encoder.encode(text));
        if (isOver) controller.close();
      },
      cancel() {
        isCancelled = true;
        watch.leave();
      },
    },
    { highWaterMark: 0 },
  );
}
