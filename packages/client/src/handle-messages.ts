/**
 * A loop that hands each message of an inbox to a handler, and acknowledges it.
 *
 * A message is *in hand* from when the handler begins until it is acknowledged, or failed. One of a shared inbox that failed
 * is given back, to come again a little later each time, and the loop goes on with the others. The loop stops taking
 * messages when the signal is aborted, or when there is an error and nobody to tell it to, and ends once nothing is in hand.
 */
import type { Json } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { joinSignals } from "./call.ts";
import { backoffMs } from "./delay.ts";
import type { EventStream } from "./event-stream.ts";
import type { InboxOptions } from "./inbox.ts";
import { asksForReply, type ReceivedMessage } from "./received-message.ts";

// biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is a function that returns void.
type Answer = Json | undefined | void;

/** Deals with one message. What it returns is the reply. */
export type MessageHandler = (message: ReceivedMessage) => Answer | Promise<Answer>;

export interface HandleOptions {
  /** `each`: this loop gets every message; `shared`: they are divided among all loops that share the inbox. Default `each`. */
  mode?: "each" | "shared" | undefined;
  /** Messages that are handled at one time. Default 1, which keeps their order. */
  concurrency?: number | undefined;
  /**
   * `shared`: messages that this loop holds, those that wait for a handler included. Default `concurrency`, which leaves
   * no message waiting while another loop is free; more saves the wait between an acknowledgement and the next message.
   */
  prefetch?: number | undefined;
  /** Ends the loop when the handlers that have begun are done. */
  signal?: AbortSignal | undefined;
  /** Told what a handler threw, and of a reply or an acknowledgement that failed. Without it the first one ends the loop. */
  onError?: ((error: unknown, message: ReceivedMessage) => void) | undefined;
}

export interface HandledInbox {
  inbox(options: InboxOptions): EventStream<ReceivedMessage>;
  handler: MessageHandler;
  /** Each ends what `inbox` gives. */
  ends: readonly AbortSignal[];
  /** Aborted when the agent is unregistered. */
  left: AbortSignal;
}

/** Messages that were handled and wait to be acknowledged, before the next is taken. */
const maxUnacknowledged = 500;
/** Messages whose failures are counted. */
const maxRemembered = 1_000;
/** What the daemon lets a consumer of a shared inbox hold. */
const maxPrefetch = 1_000;

export async function handleMessages(handled: HandledInbox, options: HandleOptions): Promise<void> {
  const { signal: ending, unlink } = joinSignals([...handled.ends, ...(options.signal ? [options.signal] : [])]);
  try {
    if (!ending.aborted) await handleAll(handled, options, ending);
  } finally {
    unlink();
  }
}

async function handleAll({ inbox, handler, ends, left }: HandledInbox, options: HandleOptions, ending: AbortSignal) {
  const { mode = "each", concurrency = 1, onError } = options;
  const { prefetch = Math.min(concurrency, maxPrefetch) } = options;
  const round = new AbortController();
  const inHand = new Map<string, Promise<void>>();
  /** How often messages failed that come again. */
  const failures = new Map<string, number>();
  const givingBack = new Set<Promise<void>>();
  let busy = 0;
  let isStopping = false;
  let untold: { error: unknown } | undefined;
  let wake = () => {};

  function stop() {
    isStopping = true;
    if (inHand.size === 0) round.abort();
  }

  function tell(error: unknown, message: ReceivedMessage) {
    // What the end of the client, or of the agent, cut off is no fault of the message.
    if (ends.some(({ aborted }) => aborted)) return;
    try {
      if (onError) return onError(error, message);
      untold ??= { error };
    } catch (thrown) {
      untold ??= { error: thrown };
    }
    stop();
  }

  async function work(message: ReceivedMessage): Promise<void> {
    try {
      await answer(message).finally(() => {
        busy--;
        wake();
      });
      // The inbox of an agent that left is gone.
      if (!left.aborted) await message.ack();
      failures.delete(message.id);
    } catch (error) {
      tell(error, message);
      if (mode === "shared") giveBack(message);
    }
    inHand.delete(message.id);
    wake();
    if (isStopping) stop();
  }

  /** Not waited for: it may come again at once. Where it fails, the daemon takes the message back in its own time. */
  function giveBack(message: ReceivedMessage): void {
    const count = failures.get(message.id) ?? 0;
    if (failures.size >= maxRemembered) failures.clear();
    failures.set(message.id, count + 1);
    const given = message
      .nack(Math.round(backoffMs(count)))
      .catch(() => undefined)
      .finally(() => givingBack.delete(given));
    givingBack.add(given);
  }

  async function answer(message: ReceivedMessage): Promise<void> {
    const payload = await handler(message);
    if (payload === undefined || !asksForReply(message)) return;
    await message.reply(payload).catch((error: unknown) => {
      // Who asked waits no more, and has no inbox. A refused reply is no reason to do the work again.
      if (KsiError.from(error).code !== "NOT_FOUND") tell(error, message);
    });
  }

  ending.addEventListener("abort", stop);
  try {
    const how = mode === "shared" ? ({ mode, prefetch } as const) : {};
    for await (const message of inbox({ ...how, signal: round.signal })) {
      if (isStopping) await Promise.all(inHand.values());
      if (isStopping) break;
      // Given out again after a reconnect.
      if (inHand.has(message.id)) continue;
      busy++;
      inHand.set(message.id, work(message));
      while (busy >= concurrency || inHand.size >= concurrency + maxUnacknowledged) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    await Promise.all(inHand.values());
    await Promise.all(givingBack);
    ending.removeEventListener("abort", stop);
  }
  if (untold) throw untold.error;
}
