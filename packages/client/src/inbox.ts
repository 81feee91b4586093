/** The inbox of an agent as a stream. */
import type { AppRouter, Message } from "@ksi/contract";
import type { TRPCClient } from "@trpc/client";
import { createEventStream, type EventStream, type FollowOptions } from "./event-stream.ts";

/** Every message comes, whoever else follows the inbox. */
export interface OwnInboxOptions extends FollowOptions {
  mode?: "each" | undefined;
}

/**
 * Each message comes to one of the loops, in this process or others, that share the inbox. One that a loop did not
 * acknowledge comes to another when it ends, loses its connection, or takes too long (`message_ack_timeout_ms`).
 */
export interface SharedInboxOptions extends Pick<FollowOptions, "signal" | "onReconnect"> {
  mode: "shared";
  /** Messages that this loop holds at one time without having acknowledged them: 1 to 1,000. Default 100. */
  prefetch?: number | undefined;
}

export type InboxOptions = OwnInboxOptions | SharedInboxOptions;

export interface InboxSource<M> {
  trpc: TRPCClient<AppRouter>;
  agentId: string;
  /** What the loop is given for a message. */
  receive: (message: Message) => M;
  /** Each ends the loop. */
  ends: readonly AbortSignal[];
}

export function createInboxStream<M>(source: InboxSource<M>, options: InboxOptions): EventStream<M> {
  const { trpc, agentId: agent_id, receive, ends } = source;
  const isShared = options.mode === "shared";
  const how = isShared ? { mode: options.mode, prefetch: options.prefetch } : { from: options.from };
  return createEventStream<M>(
    {
      isShared,
      isBegunAnew: options.mode !== "shared" && options.cursor === undefined && options.from === undefined,
      // Not the `from` of the start, which after a gap would only look at the inbox.
      subscribe: ({ lastEventId }, { onData, ...handlers }) =>
        trpc.messages.inbox.subscribe(
          { agent_id, lastEventId, ...how },
          { ...handlers, onData: ({ id, data }) => onData({ id, data: receive(data) }) },
        ),
    },
    options,
    ends,
  );
}
