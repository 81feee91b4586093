/** A message, and what its receiver does with it. */
import type { AgentError, Json, Message, SendInput, Sent } from "@ksi/contract";
import type { CallOptions } from "./call.ts";
import type { JsonCompatible } from "./payload.ts";

/** A message in the hands of the agent that it was sent to. */
export type ReceivedMessage<Payload = Json> = MessageOf<Payload> & Receipt;

/** A message with a payload of this type. */
export type MessageOf<Payload> = Omit<Message, "payload"> & { payload: Payload };

/** What can be done with it. */
interface Receipt {
  /**
   * It is dealt with, and never delivered again, also if the connection over which it came is gone by now. Those of one
   * tick travel in one call. Safe to repeat.
   */
  ack(): Promise<void>;
  /**
   * It was not dealt with: a shared inbox gives it to whoever is next, at once or after `delayMs` (an hour at most). Where
   * every consumer gets all, it changes nothing.
   */
  nack(delayMs?: number): Promise<void>;
  /**
   * Answers to `reply_to`, or else to the source, with the same `correlation_id` and one hop more. It acknowledges nothing.
   * `NOT_FOUND` where they are not registered and wait no more.
   */
  reply<P>(payload: P & JsonCompatible<P>, options?: ReplyOptions): Promise<Sent>;
  /**
   * Answers that it cannot be done, and why: `messages.request` rejects with `AGENT_FAILED`, and `details.agent_error` is
   * this. Who did not wait gets a message with an `error`. It acknowledges nothing either.
   */
  fail(error: AgentError, options?: ReplyOptions): Promise<Sent>;
}

export interface ReplyOptions extends CallOptions {
  /** Default `x.reply`. */
  event_type?: string | undefined;
}

/** What an answer is called unless told otherwise. */
const replyType = "x.reply";

export interface Receiver {
  agentId: string;
  ack(id: string): Promise<void>;
  nack(id: string, delayMs: number): Promise<unknown>;
  send(message: SendInput, options?: CallOptions): Promise<Sent>;
}

export function receiveMessage(message: Message, { agentId, ack, nack, send }: Receiver): ReceivedMessage {
  const { id, source, reply_to = source, correlation_id, hops = 0 } = message;
  return {
    ...message,
    ack: () => ack(id),
    async nack(delayMs = 0) {
      await nack(id, delayMs);
    },
    reply: (payload, options) => answer({ payload: payload as Json }, options),
    fail: (error, options) => answer({ payload: null, error }, options),
  };

  function answer(content: Pick<SendInput, "payload" | "error">, options: ReplyOptions = {}): Promise<Sent> {
    const { event_type = replyType, ...callOptions } = options;
    const about = { in_reply_to: id, hops: hops + 1, ...(correlation_id !== undefined && { correlation_id }) };
    return send({ source: agentId, target: reply_to, event_type, ...about, ...content }, callOptions);
  }
}

/** Not a reply itself: two agents that return something for every message would answer each other without end. */
export function asksForReply({ correlation_id, reply_to, in_reply_to }: Message): boolean {
  return (correlation_id !== undefined || reply_to !== undefined) && in_reply_to === undefined;
}
