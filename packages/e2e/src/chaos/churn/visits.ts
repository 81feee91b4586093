/**
 * What clients do who come, take a little and go, in peace or not. After each of them nothing of it may be left.
 *
 * They follow the firehose from now on: a process keeps the latest pages of the past that were read, and it would take
 * minutes until there is no more room for further ones.
 */
import { createKsiClient, type KsiClient } from "@ksi/client";
import { createRandom, type FaultProxy, type Random } from "@ksi/testing";
import { WebSocket } from "ws";

export interface Place {
  readonly url: string;
  readonly token: string;
  /** Another way to the same daemon, that is cut after some bytes. */
  readonly proxy: FaultProxy;
}

const longestMs = 60_000;

export type VisitCounts = Record<keyof typeof visits, number>;

/** So many visits one after the other, picked by the seed; counted in `counts`. */
export async function visitAgainAndAgain(place: Place, count: number, seed: number, counts: VisitCounts) {
  const random = createRandom(seed);
  for (let i = 0; i < count; i++) {
    const name = random.pick(names);
    await inTime(visits[name](place, random), name);
    counts[name] += 1;
  }
}

/** A visit takes a second; one that never ends is a failure of its own, and says which it was. */
async function inTime(visit: Promise<void>, name: string): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`the visit ${name} has not ended after ${longestMs} ms`)), longestMs);
  try {
    await Promise.race([visit, promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function newCounts(): VisitCounts {
  return { subscribe: 0, follow: 0, cut: 0, cancel: 0, inbox: 0, stream: 0, socket: 0, give_up: 0 };
}

const visits = {
  /** The firehose for a moment. */
  async subscribe(place: Place, random: Random) {
    await using ksi = clientOf(place);
    const signal = AbortSignal.timeout(random.between(5, 80));
    for await (const _ of ksi.events.subscribe({}, { signal })) if (random.chance(0.1)) break;
  },
  /** A run to its end. */
  async follow(place: Place) {
    await using ksi = clientOf(place);
    const run = await ksi.run({ prompt: "one two three four five", model: "echo" });
    for await (const _ of run.events());
  },
  /** The same over a way that breaks, by a client that resumes. */
  async cut({ proxy, token }: Place) {
    await using ksi = clientOf({ url: `http://${proxy.address}`, token });
    const run = await ksi.run({ prompt: "one two three four five six", model: "echo", metadata: slowly(5) });
    for await (const _ of run.events());
  },
  async cancel(place: Place) {
    await using ksi = clientOf(place);
    const run = await ksi.run({ prompt: "one two three", model: "echo", metadata: slowly(20_000) });
    const ended = run.result().catch(() => undefined);
    for await (const { event_type } of run.events()) if (event_type === "run.started") await run.cancel();
    await ended;
  },
  async inbox(place: Place, random: Random) {
    await using ksi = clientOf(place);
    const agent_id = `agent-${random.between(0, 1_000_000)}`;
    await ksi.agents.register({ agent_id });
    await ksi.messages.send({ source: "visitor", target: agent_id, event_type: "x.note", payload: "x".repeat(2_000) });
    for await (const _ of ksi.agents.inbox(agent_id)) break;
    await ksi.agents.unregister(agent_id);
  },
  /** An event stream that is left in the middle. */
  async stream({ url, token }: Place, random: Random) {
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${token}`, connection: "close" };
    const response = await fetch(`${url}/api/v1/events`, { headers, signal: leaving.signal });
    const reader = response.body?.getReader();
    await Promise.race([reader?.read(), moment(random.between(1, 60))]);
    leaving.abort();
  },
  /** A plain socket that goes without a word, sometimes before it is open. */
  async socket({ url, token }: Place, random: Random) {
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`, { headers });
    socket.on("error", () => undefined);
    await moment(random.between(1, 40));
    socket.terminate();
  },
  /** A wait for a result that its caller gives up, and then the run. */
  async give_up(place: Place) {
    await using ksi = clientOf(place);
    const run = await ksi.run({ prompt: "one two", model: "echo", metadata: slowly(20_000) });
    await run.result({ signal: AbortSignal.timeout(30) }).catch(() => undefined);
    await run.cancel();
  },
};

const names = Object.keys(visits) as [keyof typeof visits, ...(keyof typeof visits)[]];

function clientOf({ url, token }: Pick<Place, "url" | "token">): KsiClient {
  return createKsiClient({ url, token, fetch: fetchOnce });
}

/** Connections that are kept for the next call would be there at one count and not at another. */
function fetchOnce(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("connection", "close");
  return fetch(input, { ...init, headers });
}

function slowly(delay_ms: number) {
  return { echo: { delay_ms } };
}

function moment(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
