/** Messages through the typed client, all of it over WebSockets: one for the sender, one for each agent. */
import { createKsiClient, type KsiClient, type ReceivedMessage } from "@ksi/client";
import type { Access } from "../events/server.ts";
import type { BenchMessage } from "./bench-message.ts";
import type { Hearing, Manner, Place, Receivers, Sender } from "./peer.ts";

export async function openOurSender({ access }: Place): Promise<Sender> {
  const client = connect(access);
  return {
    send: (message, { isKeyless }) =>
      isKeyless ? client.trpc.messages.send.mutate(message) : client.messages.send(message),
    async sendBatch(messages) {
      const results = await client.messages.sendBatch(messages);
      for (const result of results) if (result.status === "refused") throw new Error(result.error.message);
    },
  };
}

export async function openOurReceivers(
  { access }: Place,
  agents: readonly string[],
  hearing: Hearing,
): Promise<Receivers> {
  const inboxes = await Promise.all(agents.map((agent, i) => openInbox(access, agent, { index: i, hearing })));
  return {
    follow: async (manner) => void (await Promise.all(inboxes.map(({ follow }) => follow(manner)))),
    settle: async () => void (await Promise.all(inboxes.map(({ settle }) => settle()))),
  };
}

interface Ear {
  index: number;
  hearing: Hearing;
}

async function openInbox(access: Access, agentId: string, { index, hearing }: Ear): Promise<Receivers> {
  const client = connect(access);
  const agent = await client.agents.join({ agent_id: agentId });
  let following: { left: AbortController; ended: Promise<void>; mode: Manner["mode"] } | undefined;
  let isAcked = true;
  let unacked: ReceivedMessage[] = [];
  const acking = new Set<Promise<void>>();

  function ack(message: ReceivedMessage): void {
    const answered = message.ack().then(
      () => {
        hearing.onAcked(1);
        acking.delete(answered);
      },
      (error) => hearing.onFailure(error),
    );
    acking.add(answered);
  }

  async function read(mode: Manner["mode"], signal: AbortSignal): Promise<void> {
    for await (const message of agent.inbox({ mode, signal })) {
      hearing.onMessage(index, message as unknown as BenchMessage);
      if (isAcked) ack(message);
      else unacked.push(message);
    }
  }

  return {
    async follow(manner) {
      isAcked = manner.isAcked;
      if (following?.mode === manner.mode) return;
      following?.left.abort();
      await following?.ended;
      const left = new AbortController();
      const ended = read(manner.mode, left.signal).catch((error) => hearing.onFailure(error));
      following = { left, ended, mode: manner.mode };
    },
    async settle() {
      for (const message of unacked) ack(message);
      unacked = [];
      await Promise.all(acking);
    },
  };
}

function connect({ url, headers }: Access): KsiClient {
  return createKsiClient({ url, token: headers.authorization?.replace("Bearer ", ""), calls: "websocket" });
}
