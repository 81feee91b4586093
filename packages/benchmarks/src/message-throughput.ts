/**
 * How many messages a second are accepted and delivered to agents, end to end, and how long does each take? Through the
 * typed client over WebSockets, one for the sender and one for each agent, at every mode of an inbox. Beside ours: socket.io
 * with its Redis Streams adapter, an event to a room for each agent; and bare Redis Streams, a consumer group for each.
 *
 * A load lasts from the first send until everything was accepted, received, and acknowledged where it is. Every message is
 * counted, and its place in the order checked: a load in which one was lost, repeated or swapped fails the question.
 */
import { type Exchange, type Load, openExchange, type Sample } from "./messages/exchange.ts";
import type { Manner } from "./messages/peer.ts";
import { type PeerName, peerNames, peerTitles } from "./messages/peers.ts";
import type { Answer, Effort, Row } from "./question.ts";
import { round, summarize } from "./stats.ts";

const crowds = [1, 10, 100];
const sends = {
  "each awaited": { inFlight: 1 },
  "10 on their way": { inFlight: 10 },
  "50 on their way": { inFlight: 50 },
  "50 at once, two such batches on their way": { inFlight: 2, batch: 50 },
} as const satisfies Record<string, Pick<Load, "inFlight" | "batch">>;
type SendName = keyof typeof sends;
const manners = {
  "without acks": { mode: "each", isAcked: false },
  "with acks": { mode: "each", isAcked: true },
  "shared, with acks": { mode: "shared", isAcked: true },
} as const satisfies Record<string, Manner>;
type MannerName = keyof typeof manners;

/** Theirs is what they do with acks, where they do not tell each from shared. */
const theirManner: Record<MannerName, MannerName> = {
  "without acks": "without acks",
  "with acks": "with acks",
  "shared, with acks": "with acks",
};

interface Figures {
  perSecond: number;
  /** ms. */
  median: number;
  p99: number;
  messages: number;
}

/** By peer, agents, manner and sends; of each round. */
type Results = Record<string, Figures[]>;
const keyOf = (peer: PeerName, agents: number, manner: MannerName, send: SendName) =>
  `${peer}, ${agents} agents, ${manner}, ${send}`;

export async function measureMessageThroughput({ isShort }: Effort): Promise<Answer> {
  const size = isShort ? { rounds: 1, ms: 150 } : { rounds: 3, ms: 700 };
  const results: Results = {};
  for (let i = 0; i < size.rounds; i++) {
    for (const agents of crowds) {
      for (const peer of peerNames) {
        await using exchange = await openExchange({ peer, agents });
        await measurePeer(exchange, { peer, agents, ms: size.ms, results });
      }
    }
  }
  return {
    question: "Messages from a sender to agents, accepted and delivered",
    rows: compareAll(results),
    raw: results,
  };
}

interface PeerOptions {
  peer: PeerName;
  agents: number;
  ms: number;
  results: Results;
}

async function measurePeer(exchange: Exchange, { peer, agents, ms, results }: PeerOptions): Promise<void> {
  for (const manner of namesOf(manners)) {
    if (peer !== "ours" && theirManner[manner] !== manner) continue;
    for (const send of namesOf(sends)) {
      const sample = await exchange.carry({ ...sends[send], manner: manners[manner], ms });
      const key = keyOf(peer, agents, manner, send);
      results[key] = [...(results[key] ?? []), toFigures(sample)];
    }
  }
}

function toFigures({ perSecond, messages, delays }: Sample): Figures {
  const { median, p99 } = summarize(delays);
  return { perSecond, median, p99, messages };
}

function compareAll(results: Results): Row[] {
  return crowds.flatMap((agents) =>
    namesOf(manners).flatMap((manner) =>
      namesOf(sends).flatMap((send) =>
        (["socket.io", "streams"] as const).map((peer): Row => {
          const ours = medianOf(results[keyOf("ours", agents, manner, send)]);
          const theirs = medianOf(results[keyOf(peer, agents, theirManner[manner], send)]);
          return {
            what: `to ${agents === 1 ? "1 agent" : `${agents} agents`}, ${manner}, sends ${send}`,
            ...{ unit: "messages/s", ours: ours.perSecond, theirs: theirs.perSecond },
            ratio: round(ours.perSecond / theirs.perSecond),
            beside: `${peerTitles[peer]}; p50 and p99: ours ${delayOf(ours)}, theirs ${delayOf(theirs)}`,
          };
        }),
      ),
    ),
  );
}

/** Of each figure: one round that the machine disturbed does not decide. */
function medianOf(rounds: readonly Figures[] = []): Figures {
  const of = (figure: keyof Figures) => summarize(rounds.map((each) => each[figure])).median;
  return { perSecond: of("perSecond"), median: of("median"), p99: of("p99"), messages: of("messages") };
}

function delayOf({ median, p99 }: Figures): string {
  return `${median} and ${p99} ms`;
}

function namesOf<K extends string>(record: Record<K, unknown>): K[] {
  return Object.keys(record) as K[];
}
