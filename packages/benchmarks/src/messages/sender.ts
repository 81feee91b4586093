/** A program: sends messages to all agents in turn, with so many on their way as it is told. */
import { answerParent } from "../events/child.ts";
import { monotonicMs } from "../stats.ts";
import { type BenchMessage, draftMessage } from "./bench-message.ts";
import type { Manner, Place, Sender } from "./peer.ts";
import { type PeerName, peers } from "./peers.ts";

export interface SenderCalls {
  start(peer: PeerName, place: Place, agents: readonly string[]): Promise<void>;
  /** Resolves when all are answered. A send that fails ends it. */
  send(load: SendLoad): Promise<SentLoad>;
}

export interface SendLoad {
  ms: number;
  /** Sends that are not answered yet, at most: as many as there are programs that each wait for their answer. */
  inFlight: number;
  /** Messages of one send. Default 1, by itself. */
  batch?: number | undefined;
  manner: Manner;
}

export interface SentLoad {
  count: number;
  /** `monotonicMs` of the first send and of the last answer. */
  startedAt: number;
  answeredAt: number;
}

const opened = Promise.withResolvers<Sender>();
let targets: readonly string[] = [];
/** Sent so far, to all targets in turn. */
let total = 0;

answerParent({
  async start(peer, place, agents) {
    targets = agents;
    opened.resolve(await peers[peer].openSender(place));
  },
  async send({ ms, inFlight, batch, manner }) {
    const sender = await opened.promise;
    const startedAt = monotonicMs();
    const first = total;
    const sendOn = async () => {
      while (monotonicMs() < startedAt + ms) {
        if (batch === undefined) await sender.send(nextMessage(), manner);
        else await sendBatch(sender, Array.from({ length: batch }, nextMessage), manner);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, sendOn));
    return { count: total - first, startedAt, answeredAt: monotonicMs() };
  },
} satisfies SenderCalls);

function sendBatch(sender: Sender, messages: BenchMessage[], manner: Manner): Promise<unknown> {
  return sender.sendBatch?.(messages, manner) ?? Promise.all(messages.map((message) => sender.send(message, manner)));
}

function nextMessage() {
  const turn = total++;
  return draftMessage(targets[turn % targets.length] ?? "", Math.floor(turn / targets.length));
}
