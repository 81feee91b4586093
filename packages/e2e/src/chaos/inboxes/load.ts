/** Senders: each sends one message after the other to one of the agents, through either server, until it is accepted. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { KsiClient } from "@ksi/client";
import { createRandom } from "@ksi/testing";
import { insist } from "../insist.ts";

export interface AcceptedMessage {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly number: number;
}

export interface MessageLoad {
  /** Of each sender in the order accepted. */
  readonly accepted: readonly AcceptedMessage[];
  /** Sends that were made again with the same key. */
  readonly repeats: number;
  /** Resolves when nothing more is on its way. */
  stop(): Promise<void>;
}

export interface MessageLoadOptions {
  readonly seed: number;
  readonly senders: number;
  readonly targets: readonly [string, ...string[]];
  readonly clients: readonly [KsiClient, ...KsiClient[]];
  readonly onFailure: (what: string) => void;
}

export function startMessageLoad({ seed, senders, targets, clients, onFailure }: MessageLoadOptions): MessageLoad {
  const accepted: AcceptedMessage[] = [];
  let repeats = 0;
  let isStopped = false;
  const talking = Array.from({ length: senders }, (_, i) =>
    talk(i).catch((error) => onFailure(`sender ${i}: ${error}`)),
  );

  async function talk(sender: number): Promise<void> {
    const random = createRandom(seed, sender + 1);
    const source = `sender-${sender}`;
    for (let number = 0; !isStopped; number++) {
      const target = random.pick(targets);
      const message = { source, target, event_type: "x.n", payload: number, idempotency_key: randomUUID() };
      const { id } = await insist(
        () => random.pick(clients).messages.send(message),
        () => {
          repeats += 1;
        },
      );
      accepted.push({ id, source, target, number });
      await sleep(random.between(0, 20));
    }
  }

  return {
    accepted,
    get repeats() {
      return repeats;
    },
    async stop() {
      isStopped = true;
      await Promise.all(talking);
    },
  };
}
