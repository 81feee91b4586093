/** What each peer is asked to do: to take messages from a sender, and to hand them to agents. */
import type { Access } from "../events/server.ts";
import type { BenchMessage } from "./bench-message.ts";

/** How agents take their messages. Only ours tells `each` from `shared`: a consumer group shares, a room gives to each. */
export interface Manner {
  mode: "each" | "shared";
  isAcked: boolean;
  /** Ours without the idempotency key that its client gives to each message. */
  isKeyless?: boolean;
}

/** Where a peer is reached: its server, or for bare Streams Redis itself. */
export interface Place {
  access: Access;
  redisPath: string;
}

export interface Sender {
  /** Resolves when the message is accepted, which is each peer's own best promise. */
  send(message: BenchMessage, manner: Manner): Promise<unknown>;
  /** Resolves when all are accepted. Default: `send` for each, at once. */
  sendBatch?(messages: BenchMessage[], manner: Manner): Promise<unknown>;
}

export interface Receivers {
  /** Resolves when all agents follow, or will. What they followed before in another manner is left. */
  follow(manner: Manner): Promise<void>;
  /** Acknowledges what was not, and resolves when all acknowledgements are answered. */
  settle(): Promise<void>;
}

/** What agents are given, and how that goes on. */
export interface Hearing {
  /** `agent` is the index of the agent whose inbox it came from. */
  onMessage(agent: number, message: BenchMessage): void;
  /** Acknowledgements of so many messages were answered. */
  onAcked(count: number): void;
  onFailure(error: unknown): void;
}

export interface Peer {
  openSender(place: Place): Promise<Sender>;
  openReceivers(place: Place, agents: readonly string[], hearing: Hearing): Promise<Receivers>;
}
