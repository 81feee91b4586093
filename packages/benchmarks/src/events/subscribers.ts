/**
 * A program: many subscribers of one server, each on a socket of its own, in one process.
 *
 * Each knows how many events it had and which number is due next, so that a lost, repeated or swapped one shows. What a
 * subscriber looks at besides costs the machine time that the servers would have, and is chosen by `Look`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../stats.ts";
import { type BenchEvent, minFrameBytes, readNumber } from "./bench-event.ts";
import { answerParent } from "./child.ts";
import { cursorOf, type PeerName, type Wire, wires } from "./peers.ts";
import { openRawSocket, type RawSocket } from "./raw-socket.ts";
import type { Access } from "./server.ts";

/** `first`: one subscriber of the process checks the numbers. `order`: all do. `delay`: all parse, and note how old. */
export type Look = "first" | "order" | "delay";

export interface SubscriberCalls {
  /** Resolves when all are subscribed. */
  connect(peer: PeerName, access: Access, count: number, look: Look): Promise<void>;
  /** Events that all together have had. */
  received(): number;
  tally(): Tally;
  /** Of `delay`, ms from append to arrival, since the last call. */
  takeDelays(): number[];
  /** All that were cut connect anew after the last event they had. Gives when each had event number `last`. */
  resume(access: Access, last: number): Promise<number[]>;
}

export interface Tally {
  /** Of the subscriber that had fewest, and most. */
  least: number;
  most: number;
  /** Events whose number was not the one due. */
  outOfOrder: number;
}

interface Subscriber {
  socket: RawSocket | undefined;
  received: number;
  due: number | undefined;
  outOfOrder: number;
  cursor: string | undefined;
  welcomed: PromiseWithResolvers<void>;
  reached: { at: number; number: number } | undefined;
}

const connectingAtOnce = 100;
/** Within what a parent waits for an answer. */
const welcomeMs = 80_000;
const resumeMs = 80_000;

const subscribers: Subscriber[] = [];
let wire: Wire = wires.ours;
let look: Look = "first";
let total = 0;
let delays: number[] = [];
/** What a server said to a subscriber that was in already. */
let refusal: string | undefined;

answerParent({
  async connect(peer, access, count, wanted) {
    wire = wires[peer];
    look = wanted;
    const added = Array.from({ length: count }, createSubscriber);
    subscribers.push(...added);
    await connectAll(added, access);
  },
  received: () => total,
  tally: () => ({
    least: subscribers.reduce((least, { received }) => Math.min(least, received), Number.POSITIVE_INFINITY),
    most: subscribers.reduce((most, { received }) => Math.max(most, received), 0),
    outOfOrder: subscribers.reduce((sum, { outOfOrder }) => sum + outOfOrder, 0),
  }),
  takeDelays() {
    const taken = delays;
    delays = [];
    return taken;
  },
  async resume(access, last) {
    refusal = undefined; // which belongs to the server that went away
    for (const subscriber of subscribers) {
      subscriber.reached = { at: 0, number: last };
      subscriber.welcomed = Promise.withResolvers();
    }
    const deadline = monotonicMs() + resumeMs;
    await connectAll(subscribers, access);
    const missing = () => subscribers.filter(({ reached }) => !reached?.at).length;
    while (missing() > 0) {
      if (refusal !== undefined) throw new Error(`a subscription ended: ${refusal}`);
      if (monotonicMs() > deadline) throw new Error(`${missing()} subscribers did not catch up in ${resumeMs} ms`);
      await sleep(20);
    }
    return subscribers.map(({ reached }) => reached?.at ?? Number.NaN);
  },
} satisfies SubscriberCalls);

function createSubscriber(): Subscriber {
  return {
    socket: undefined,
    received: 0,
    due: undefined,
    outOfOrder: 0,
    cursor: undefined,
    welcomed: Promise.withResolvers(),
    reached: undefined,
  };
}

/** Some at a time: a server's backlog of connections that nobody has accepted yet is short. */
async function connectAll(all: readonly Subscriber[], access: Access): Promise<void> {
  const waiting = [...all];
  const connectInTurn = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await connectOne(next, access);
  };
  await Promise.all(Array.from({ length: connectingAtOnce }, connectInTurn));
}

async function connectOne(subscriber: Subscriber, { url, headers }: Access): Promise<void> {
  const onEvent = chooseLook(subscriber);
  const socket = await openRawSocket({
    url: url + wire.path,
    headers,
    onText(data, start, end) {
      if (end - start < minFrameBytes) return onOther(subscriber, data.toString("utf8", start, end));
      subscriber.received += 1;
      total += 1;
      onEvent?.(data, start, end);
    },
  });
  subscriber.socket = socket;
  const greeting = wire.greeting(subscriber.cursor);
  if (greeting !== undefined) socket.send(greeting);
  if (wire.welcome === undefined) return;
  const late = () => subscriber.welcomed.reject(new Error(`no subscription within ${welcomeMs} ms`));
  const timer = setTimeout(late, welcomeMs);
  await subscriber.welcomed.promise;
  clearTimeout(timer);
}

function onOther(subscriber: Subscriber, text: string): void {
  if (wire.welcome?.test(text)) subscriber.welcomed.resolve();
  else if (text === wire.pings?.from) subscriber.socket?.send(wire.pings.answer);
  else if (text.includes('"error"')) {
    refusal = text;
    subscriber.welcomed.reject(new Error(`refused: ${text}`));
  }
}

type OnEvent = (data: Buffer, start: number, end: number) => void;

function chooseLook(subscriber: Subscriber): OnEvent | undefined {
  if (look === "first" && subscriber !== subscribers[0]) return undefined;
  if (look !== "delay") return (data, start, end) => check(subscriber, { data, start, end });
  return (data, start, end) => {
    const { at } = findEvent(JSON.parse(data.toString("utf8", start + payloadOffset(data, start), end))).payload;
    delays.push(monotonicMs() - at);
  };
}

function check(subscriber: Subscriber, { data, start, end }: { data: Buffer; start: number; end: number }): void {
  const n = readNumber(data, start, end);
  if (Number.isNaN(n)) {
    subscriber.received -= 1;
    total -= 1;
    onOther(subscriber, data.toString("utf8", start, end));
    return;
  }
  if (n !== (subscriber.due ?? n)) subscriber.outOfOrder += 1;
  subscriber.due = n + 1;
  if (look !== "order") return;
  subscriber.cursor ??= cursorOf(data.toString("utf8", start, end));
  if (subscriber.reached?.number === n) subscriber.reached.at = monotonicMs();
}

/** Socket.io puts the kinds of its packets before the JSON, as digits. */
function payloadOffset(data: Buffer, start: number): number {
  let offset = 0;
  while ((data[start + offset] ?? 0) <= 0x39) offset += 1;
  return offset;
}

/** In a frame of any of the wires. */
function findEvent(frame: unknown): BenchEvent {
  if (typeof frame === "object" && frame !== null && "payload" in frame) return frame as BenchEvent;
  const parts = typeof frame === "object" && frame !== null ? frame : {};
  if (Array.isArray(parts)) return findEvent(parts[1]);
  if ("result" in parts) return findEvent(parts.result);
  if ("json" in parts) return findEvent(parts.json);
  if ("data" in parts) return findEvent(parts.data);
  throw new Error(`no event in ${JSON.stringify(frame)}`);
}
