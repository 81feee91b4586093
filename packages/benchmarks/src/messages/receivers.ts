/** A program: all agents, and a list of what each has to receive. */
import { answerParent } from "../events/child.ts";
import { monotonicMs } from "../stats.ts";
import { createChecklist } from "./checklist.ts";
import type { Manner, Place, Receivers } from "./peer.ts";
import { type PeerName, peers } from "./peers.ts";

export interface ReceiversCalls {
  start(peer: PeerName, place: Place, agents: readonly string[]): Promise<void>;
  follow(manner: Manner): Promise<void>;
  tally(): Heard;
  /** ms from each send to its receipt, since the last call. */
  takeDelays(): number[];
  /** Acknowledges what was not, and resolves when all is answered. */
  settle(): Promise<void>;
}

export interface Heard {
  received: number;
  acked: number;
  /** `monotonicMs` of the last message, or answer to an acknowledgement. */
  lastAt: number;
  /** The first thing that was wrong. */
  fault: string | undefined;
}

const opened = Promise.withResolvers<Receivers>();
const heard = { received: 0, acked: 0, lastAt: 0 };
let findFault: () => string | undefined = () => undefined;
let failure: string | undefined;
let delays: number[] = [];

answerParent({
  async start(peer, place, agents) {
    const checklist = createChecklist(agents);
    findFault = () => checklist.fault;
    const receivers = await peers[peer].openReceivers(place, agents, {
      onMessage(agent, message) {
        heard.lastAt = monotonicMs();
        heard.received += 1;
        delays.push(heard.lastAt - message.payload.at);
        checklist.check(agent, message);
      },
      onAcked(count) {
        heard.acked += count;
        heard.lastAt = monotonicMs();
      },
      onFailure(error) {
        failure ??= error instanceof Error ? (error.stack ?? error.message) : String(error);
      },
    });
    opened.resolve(receivers);
  },
  follow: async (manner) => (await opened.promise).follow(manner),
  tally: () => ({ ...heard, fault: failure ?? findFault() }),
  takeDelays() {
    const taken = delays;
    delays = [];
    return taken;
  },
  settle: async () => (await opened.promise).settle(),
} satisfies ReceiversCalls);
