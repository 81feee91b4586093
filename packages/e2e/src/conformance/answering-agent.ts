/** An agent that answers each request at once, so that whoever waits for an answer gets one. */
import type { KsiClient, Message } from "@ksi/client";

/** Registers it, and follows its inbox until it is disposed of. */
export async function startAnsweringAgent(
  { trpc }: KsiClient,
  { agent_id, capability }: { agent_id: string; capability: string },
): Promise<AsyncDisposable> {
  await trpc.agents.register.mutate({ agent_id, capabilities: [capability] });
  const working = new Set<Promise<void>>();
  const answer = async ({ id, source, reply_to, correlation_id, event_type }: Message) => {
    const reply = { source: agent_id, target: reply_to ?? source, event_type, payload: null };
    // Who asked may be gone, or may want no more from this agent.
    if (correlation_id) await trpc.messages.send.mutate({ ...reply, correlation_id }).catch(() => undefined);
    await trpc.messages.ack.mutate({ agent_id, ids: [id] }).catch(() => undefined);
  };
  const followed = Promise.withResolvers<void>();
  const subscription = trpc.messages.inbox.subscribe(
    { agent_id },
    {
      onStarted: () => followed.resolve(),
      onError: followed.reject,
      onData({ data }) {
        const answered = answer(data).finally(() => working.delete(answered));
        working.add(answered);
      },
    },
  );
  await followed.promise;
  return {
    async [Symbol.asyncDispose]() {
      subscription.unsubscribe();
      await Promise.all(working);
    },
  };
}
