/**
 * The way of a turn's events from the runner, which must never wait, into the log, which may be away.
 *
 * It trades order and memory. Events are *waiting* until the batch before theirs is stored, so there is one batch under
 * way at a time and the order is the agent's. As long as the log keeps up, every delta is an event of its own; when more
 * than `mergeAfter` wait, adjacent text deltas are joined, so that an agent that floods us costs characters and not
 * objects. It ends *lost* (the run is somebody else's, or more than `maxWaitingChars` wait): it tells so once, and drops
 * everything from then on.
 */
import { KsiError } from "@ksi/contract/errors";
import { fitJson } from "./agent-json.ts";
import { retryWhileAway } from "./retry.ts";
import type { TurnEvent } from "./runners/runner.ts";

export interface TurnEvents {
  /** Never blocks, never throws. */
  emit(event: TurnEvent): void;
  /**
   * Nothing comes after this. Resolves when all that was emitted is stored or lost, but for the last batch: that is for
   * the caller, who has one more thing to store with it.
   */
  takeLast(): Promise<readonly TurnEvent[]>;
}

export interface TurnEventsOptions {
  /**
   * Stores the events in this order, or none of them where it rejects with `STORE_UNAVAILABLE`: it is called again then.
   * `CONFLICT` when the run is no longer this worker's.
   */
  store(events: readonly TurnEvent[]): Promise<void>;
  /** The run cannot go on: `WORKER_LOST`, or `STORE_UNAVAILABLE` when too much waits. Called once. */
  onLost(error: KsiError): void;
  /** Stops the attempts to store while Redis is away. */
  signal: AbortSignal;
}

const mergeAfter = 64;
/** What an agent may say while Redis is away. */
const maxWaitingChars = 16_000_000;
/** What is stored in one go: a batch must fit beside those of other runs into what may wait for Redis. */
const batchEvents = 500;
const batchChars = 1_000_000;
/** Of one joined delta, so that no single event is huge. */
const maxDeltaChars = 32_000;

export function createTurnEvents({ store, onLost, signal }: TurnEventsOptions): TurnEvents {
  let waiting: TurnEvent[] = [];
  let waitingChars = 0;
  let storing: Promise<void> | undefined;
  let isLost = false;
  let isEnding = false;

  return {
    emit(said) {
      if (isLost) return;
      const event = fitToTravel(said);
      waitingChars += sizeOf(event);
      if (waitingChars > maxWaitingChars) return lose(tooMuchWaiting());
      const last = waiting.at(-1);
      const joined = last && waiting.length > mergeAfter ? join(last, event) : undefined;
      if (joined) waiting[waiting.length - 1] = joined;
      else waiting.push(event);
      storing ??= storeAll();
    },
    async takeLast() {
      isEnding = true;
      await storing;
      return takeBatch();
    },
  };

  /** Never rejects. */
  async function storeAll(): Promise<void> {
    while (waiting.length > 0 && !(isEnding && isOneBatch())) {
      const batch = takeBatch();
      try {
        await retryWhileAway(() => store(batch), signal);
      } catch (thrown) {
        lose(KsiError.from(thrown));
      }
    }
    storing = undefined;
  }

  function isOneBatch(): boolean {
    return waiting.length <= batchEvents && waitingChars <= batchChars;
  }

  function takeBatch(): TurnEvent[] {
    let [events, chars] = [0, 0];
    for (const event of waiting) {
      const size = sizeOf(event);
      if (events > 0 && (events === batchEvents || chars + size > batchChars)) break;
      events += 1;
      chars += size;
    }
    waitingChars -= chars;
    return waiting.splice(0, events);
  }

  function lose(error: KsiError): void {
    if (isLost) return;
    isLost = true;
    waiting = [];
    onLost(error.code === "CONFLICT" ? runTaken(error) : error);
  }
}

/** The input of a tool is what a model wrote. */
function fitToTravel(event: TurnEvent): TurnEvent {
  if (event.event_type !== "run.tool_use") return event;
  const { value: input, hasLostKeys, isTooDeep } = fitJson(event.payload.input);
  if (!hasLostKeys && !isTooDeep) return event;
  return { event_type: event.event_type, payload: { ...event.payload, input, is_truncated: true } };
}

/** Only text grows by joining; everything else is a fact of its own. */
function join(last: TurnEvent, event: TurnEvent): TurnEvent | undefined {
  if (event.event_type !== "run.text" && event.event_type !== "run.thinking") return undefined;
  if (last.event_type !== event.event_type) return undefined;
  if (last.payload.text.length + event.payload.text.length > maxDeltaChars) return undefined;
  return { event_type: event.event_type, payload: { text: last.payload.text + event.payload.text } };
}

function sizeOf({ event_type, payload }: TurnEvent): number {
  if (event_type === "run.text" || event_type === "run.thinking") return payload.text.length;
  return JSON.stringify(payload).length;
}

function runTaken(cause: KsiError): KsiError {
  return new KsiError("WORKER_LOST", "This run is no longer this worker's, so its agent is ended.", { cause });
}

function tooMuchWaiting(): KsiError {
  return new KsiError("STORE_UNAVAILABLE", "The agent said more than can be kept while Redis is away.");
}
