/** A handle on an agent that this program is. */
import type { AckInput, Json, Message, RequestRequest, SendInput, Sent, Unregistered } from "@ksi/contract";
import { createAcks } from "./acks.ts";
import type { CallOptions } from "./call.ts";
import type { EventStream } from "./event-stream.ts";
import { type HandleOptions, handleMessages, type MessageHandler } from "./handle-messages.ts";
import { createInboxStream, type InboxOptions, type InboxSource } from "./inbox.ts";
import type { JsonMembers, WithPayload } from "./payload.ts";
import { type ReceivedMessage, receiveMessage } from "./received-message.ts";
import type { Answered, RequestOptions } from "./request.ts";

export interface AgentHandle {
  readonly agent_id: string;
  /**
   * Its messages: first those that nobody has acknowledged, then what comes. While the loop lasts, the agent is online.
   * With `mode: "shared"` the messages are divided among all loops that share the inbox.
   */
  inbox(options?: InboxOptions): EventStream<ReceivedMessage>;
  /**
   * Calls the handler with each message and acknowledges it once the handler is done. What the handler returns is sent
   * as a reply, to whoever asked for one: the message has a `correlation_id` or `reply_to`, and is no reply itself. What
   * it throws is their answer too: `messages.request` rejects with `AGENT_FAILED`.
   *
   * Another message whose handler throws is not acknowledged. It is handled again after a while: with `mode: "shared"` by
   * this loop or another one, until the daemon takes it for dead; else by this one, ten times in all, and then whenever
   * the inbox is followed anew.
   *
   * Resolves when the signal is aborted, or the agent leaves, and the handlers that had begun are done. Rejects as a loop
   * over the inbox does, and without `onError` with the first error of a message that nobody was told of.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is a function that returns void.
  handle<Answer extends JsonMembers<Answer> | undefined | void, Payload = Json>(
    handler: MessageHandler<Payload, Answer>,
    options?: HandleOptions<Payload>,
  ): Promise<void>;
  /** `messages.send` with this agent as the source. */
  send<P>(message: WithPayload<Omit<SendInput, "source">, P>, options?: CallOptions): Promise<Sent>;
  /** `messages.request` with this agent as the source. */
  request<P, Answer = Json>(
    message: WithPayload<Omit<RequestRequest, "source">, P>,
    options?: RequestOptions<Answer>,
  ): Promise<Answered<Answer>>;
  /**
   * Ends its loops and unregisters it: its inbox is forgotten. An agent that is to come back only ends its loops; what it
   * is sent meanwhile waits.
   */
  leave(options?: CallOptions): Promise<Unregistered>;
}

export interface AgentHandleOptions {
  trpc: InboxSource<Message>["trpc"];
  messages: {
    send(message: SendInput, options?: CallOptions): Promise<Sent>;
    request<Answer>(message: RequestRequest, options?: RequestOptions<Answer>): Promise<Answered<Answer>>;
    ack(input: AckInput): Promise<unknown>;
    nack(input: { agent_id: string; ids: string[]; delay_ms: number }): Promise<unknown>;
  };
  unregister(agentId: string, options?: CallOptions): Promise<Unregistered>;
  agentId: string;
  /** Aborts when the client is closed. */
  closed: AbortSignal;
}

export function createAgentHandle(options: AgentHandleOptions): AgentHandle {
  const { trpc, messages, unregister, agentId, closed } = options;
  const leaving = new AbortController();
  const ends = [closed, leaving.signal];
  const ack = createAcks((ids) => messages.ack({ agent_id: agentId, ids }));

  const nack = (id: string, delayMs: number) => messages.nack({ agent_id: agentId, ids: [id], delay_ms: delayMs });
  const receive = (message: Message) => receiveMessage(message, { agentId, ack, nack, send: messages.send });
  let left: Promise<Unregistered> | undefined;

  function inbox(following: InboxOptions = {}): EventStream<ReceivedMessage> {
    return createInboxStream({ trpc, agentId, receive, ends }, following);
  }

  return {
    agent_id: agentId,
    inbox,
    async handle(handler, handling = {}) {
      await handleMessages({ inbox, handler, ends, left: leaving.signal }, handling);
      // Whoever closes the client next does not cut the leaving off. That it failed is told by it.
      await left?.catch(() => undefined);
    },
    send: (message, callOptions) =>
      messages.send({ ...message, payload: message.payload as Json, source: agentId }, callOptions),
    request: (message, asking) =>
      messages.request({ ...message, payload: message.payload as Json, source: agentId }, asking),
    leave(callOptions) {
      leaving.abort();
      left = unregister(agentId, callOptions);
      return left;
    },
  };
}
