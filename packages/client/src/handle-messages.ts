/**
 * A loop that hands each message of an inbox to a handler, and acknowledges it.
 *
 * A message is *in hand* from when it came until it is acknowledged, or given up. One that failed goes to the handler
 * again, a little later each time, and the loop goes on with the others: one of a shared inbox is given back for that, to
 * come to this loop or another, and one that only this consumer got stays in hand. One that asked for a reply is done with
 * when the reply says that it failed. The loop stops taking messages when the signal is aborted, or when there is an error
 * and nobody to tell it to, and ends once nothing is in hand.
 */
import type { AgentError, Json } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { joinSignals } from "./call.ts";
import { backoffMs, delay } from "./delay.ts";
import type { EventStream } from "./event-stream.ts";
import { createGivingBack } from "./giving-back.ts";
import type { InboxOptions } from "./inbox.ts";
import { asksForReply, type ReceivedMessage } from "./received-message.ts";
import { type Schema, validate } from "./schema.ts";
import { createSlots } from "./slots.ts";

/** Deals with one message. What it returns, now or later, is the reply; it must be JSON, or nothing. */
export type MessageHandler<Payload = Json, Answer = unknown> = (
  message: ReceivedMessage<Payload>,
) => Answer | Promise<Answer>;

export interface HandleOptions<Payload = Json> {
  /**
   * Checks and types the payloads: a zod schema, or another Standard Schema. A message that does not fit is one whose
   * handler throws `INVALID_INPUT`.
   */
  schema?: Schema<Payload> | undefined;
  /** `each`: this loop gets every message; `shared`: they are divided among all loops that share the inbox. Default `each`. */
  mode?: "each" | "shared" | undefined;
  /** Messages that are handled at one time. Default 1, which keeps their order, but for those that failed before. */
  concurrency?: number | undefined;
  /**
   * `shared`: messages that this loop holds, those that wait for a handler included. Default `concurrency`, which leaves
   * no message waiting while another loop is free; more saves the wait between an acknowledgement and the next message.
   */
  prefetch?: number | undefined;
  /** Ends the loop when the handlers that have begun are done. */
  signal?: AbortSignal | undefined;
  /**
   * Told what a handler threw, each time, and of a reply or an acknowledgement that failed. Without it the first one ends
   * the loop, unless whoever asked was told.
   */
  onError?: ((error: unknown, message: ReceivedMessage) => void) | undefined;
}

export interface HandledInbox<Payload> {
  inbox(options: InboxOptions): EventStream<ReceivedMessage>;
  /** Given what the schema of the options makes of the payload, if there is one. */
  handler: MessageHandler<Payload>;
  /** Each ends what `inbox` gives. */
  ends: readonly AbortSignal[];
  /** Aborted when the agent is unregistered. */
  left: AbortSignal;
}

/** Messages in hand that no handler deals with at the moment, before the next is taken. */
const maxUnacknowledged = 500;
/** What the daemon lets a consumer of a shared inbox hold. */
const maxPrefetch = 1_000;
/** As often as the daemon gives a message of a shared inbox out. After that it comes again when the inbox is followed anew. */
const maxTries = 10;

export async function handleMessages<P>(handled: HandledInbox<P>, options: HandleOptions<P>): Promise<void> {
  const { signal: ending, unlink } = joinSignals([...handled.ends, ...(options.signal ? [options.signal] : [])]);
  try {
    if (!ending.aborted) await handleAll(handled, options, ending);
  } finally {
    unlink();
  }
}

async function handleAll<P>(handled: HandledInbox<P>, options: HandleOptions<P>, ending: AbortSignal): Promise<void> {
  const { inbox, handler, ends, left } = handled;
  const { schema, mode = "each", concurrency = 1, onError } = options;
  const { prefetch = Math.min(concurrency, maxPrefetch) } = options;
  const round = new AbortController();
  const stopping = new AbortController();
  const slots = createSlots(concurrency);
  const inHand = new Map<string, Promise<void>>();
  const { giveBack, forget, settle } = createGivingBack();
  let untold: { error: unknown } | undefined;
  let wake = () => {};

  function stop() {
    stopping.abort();
    if (inHand.size === 0) round.abort();
  }

  function isEnded(): boolean {
    return ends.some(({ aborted }) => aborted);
  }

  function tell(error: unknown, message: ReceivedMessage) {
    // What the end of the client, or of the agent, cut off is no fault of the message.
    if (isEnded()) return;
    try {
      if (onError) return onError(error, message);
      untold ??= { error };
    } catch (thrown) {
      untold ??= { error: thrown };
    }
    stop();
  }

  /** It has a slot. */
  async function work(message: ReceivedMessage): Promise<void> {
    for (let tries = 1; ; tries++) {
      const isDone = await attempt(message).finally(() => slots.free());
      if (isDone) {
        await acknowledge(message);
        break;
      }
      if (mode === "shared") giveBack(message);
      if (mode === "shared" || tries === maxTries) break;
      await delay(backoffMs(tries - 1), stopping.signal);
      if (!stopping.signal.aborted) await slots.take();
      if (stopping.signal.aborted) break;
    }
    inHand.delete(message.id);
    wake();
    if (stopping.signal.aborted) stop();
  }

  /** Whether the message has been dealt with. */
  async function attempt(message: ReceivedMessage): Promise<boolean> {
    try {
      const answer = await handler(await read(message));
      if (answer === undefined || !asksForReply(message)) return true;
      await answered(message, message.reply(answer as Json));
      return true;
    } catch (error) {
      if (isEnded()) return false;
      if (!asksForReply(message)) {
        tell(error, message);
        return false;
      }
      await answered(message, message.fail(toAgentError(error)));
      if (onError) tell(error, message);
      return true;
    }
  }

  async function read(message: ReceivedMessage): Promise<ReceivedMessage<P>> {
    // Without a schema the payload is of the type that the message has.
    if (!schema) return message as ReceivedMessage<P>;
    const misfit = `The payload of message ${message.id} from ${message.source} does not fit the schema`;
    const payload = await validate(schema, message.payload, { code: "INVALID_INPUT", message: misfit });
    return { ...message, payload };
  }

  function answered(message: ReceivedMessage, sending: Promise<unknown>): Promise<unknown> {
    return sending.catch((error: unknown) => {
      // Who asked waits no more, and has no inbox. A refused reply is no reason to do the work again.
      if (KsiError.from(error).code !== "NOT_FOUND") tell(error, message);
    });
  }

  async function acknowledge(message: ReceivedMessage): Promise<void> {
    forget(message.id);
    try {
      // The inbox of an agent that left is gone.
      if (!left.aborted) await message.ack();
    } catch (error) {
      tell(error, message);
      if (mode === "shared") giveBack(message);
    }
  }

  ending.addEventListener("abort", stop);
  try {
    const how = mode === "shared" ? ({ mode, prefetch } as const) : {};
    for await (const message of inbox({ ...how, signal: round.signal })) {
      // Given out again after a reconnect.
      if (inHand.has(message.id)) continue;
      await slots.take();
      // The subscription holds what is in hand: it ends after that.
      if (stopping.signal.aborted) await Promise.all(inHand.values());
      if (stopping.signal.aborted) break;
      inHand.set(message.id, work(message));
      while (inHand.size >= concurrency + maxUnacknowledged) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    await Promise.all(inHand.values());
    await settle();
    ending.removeEventListener("abort", stop);
  }
  if (untold) throw untold.error;
}

function toAgentError(error: unknown): AgentError {
  const { code } = (error ?? {}) as { code?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  return {
    ...(typeof code === "string" && /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/.test(code) && { code }),
    message: message.slice(0, 4_096),
  };
}
