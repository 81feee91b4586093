/** Those who follow a run or the firehose through each of the three doors, and take it up again after their last cursor. */
import { setTimeout as pause } from "node:timers/promises";
import { createKsiClient } from "@ksi/client";
import type { KsiEvent, WireError } from "@ksi/contract";
import { readServerSentEvents } from "./server-sent-events.ts";

export const doors = ["tRPC", "SSE", "/ws"] as const;
export type Door = (typeof doors)[number];

export interface Followed {
  readonly url: string;
  readonly token: string;
  /** Without it, the firehose. */
  readonly run_id?: string | undefined;
}

export interface Start {
  readonly after?: string | undefined;
  /** Default `oldest`. */
  readonly from?: "oldest" | "now" | undefined;
}

/** How one subscription ended, if not by the follower's own will: what the door itself said. */
export interface Ending {
  /** Of HTTP, or the close code of the plain socket. Undefined where there was no answer. */
  readonly status: number | undefined;
  readonly code?: string | undefined;
  /** Of a gap. */
  readonly reason?: unknown;
  readonly oldest?: unknown;
}

type OnEntry = (cursor: string, event: KsiEvent) => void;
type OpenDoor = (
  followed: Followed,
  start: Start,
  reader: { onEntry: OnEntry; signal: AbortSignal },
) => Promise<Ending>;

const byDoor: Record<Door, OpenDoor> = { tRPC: overTrpc, SSE: overEventStream, "/ws": overPlainSocket };

/** One subscription, until it ends or `signal` aborts. */
export function openOnce(door: Door, followed: Followed, start: Start, onEntry: OnEntry, signal: AbortSignal) {
  return byDoor[door](followed, start, { onEntry, signal });
}

export interface Follower extends AsyncDisposable {
  readonly door: Door;
  readonly cursors: readonly string[];
  readonly events: readonly KsiEvent[];
  /** Each end of a subscription after which it came back. */
  readonly endings: readonly Ending[];
  /** It has the last event. */
  readonly isComplete: boolean;
}

const comeBackMs = 250;

/**
 * Comes back whenever its subscription ends, until it has an event for which `isLast`, or is disposed. Starts with the
 * oldest event, or behind the cursor `after`.
 */
export function startFollower(
  door: Door,
  followed: Followed,
  isLast: (event: KsiEvent) => boolean,
  after?: string,
): Follower {
  const leaving = new AbortController();
  const { signal } = leaving;
  const cursors: string[] = [];
  const events: KsiEvent[] = [];
  const endings: Ending[] = [];
  let isComplete = false;
  const onEntry: OnEntry = (cursor, event) => {
    if (signal.aborted) return;
    cursors.push(cursor);
    events.push(event);
    isComplete ||= isLast(event);
    if (isComplete) leaving.abort();
  };

  const done = (async () => {
    while (!signal.aborted) {
      const ending = await openOnce(door, followed, { after: cursors.at(-1) ?? after }, onEntry, signal);
      if (signal.aborted) return;
      endings.push(ending);
      await pause(comeBackMs, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    door,
    cursors,
    events,
    endings,
    get isComplete() {
      return isComplete;
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await done;
    },
  };
}

/** What is wrong with what a follower got: a hole, a repeat, a wrong order. Empty where nothing is. */
export function findFaults({ cursors, events }: Pick<Follower, "cursors" | "events">): string[] {
  const faults: string[] = [];
  for (const [i, cursor] of cursors.entries()) {
    const [[epoch, number], [lastEpoch, lastNumber]] = [cursor.split("."), (cursors[i - 1] ?? "").split(".")];
    const isNext = epoch === lastEpoch && Number(number) === Number(lastNumber) + 1;
    if (i > 0 && !isNext) faults.push(`${cursor} came after ${cursors[i - 1]}`);
  }
  if (new Set(events.map(({ id }) => id)).size < events.length) faults.push("an event came twice");
  return faults;
}

/** The official client's subscription; it comes back by itself where only the connection was lost. */
async function overTrpc({ url, token, run_id }: Followed, start: Start, { onEntry, signal }: Parameters<OpenDoor>[2]) {
  await using ksi = createKsiClient({ url, token });
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const input = { from: "oldest" as const, ...start, lastEventId: start.after };
  const handlers = {
    onData: ({ id, data }: { id: string; data: KsiEvent }) => onEntry(id, data),
    onComplete: () => resolve({ status: 200 }),
    onError: ({ data }: { data?: { httpStatus: number; ksi?: WireError } | null | undefined }) =>
      resolve({ status: data?.httpStatus, ...(data?.ksi && readEnd({ ...data.ksi, ...data.ksi.details })) }),
  };
  const subscription =
    run_id === undefined
      ? ksi.trpc.events.subscribe.subscribe(input, handlers)
      : ksi.trpc.runs.events.subscribe({ ...input, run_id }, handlers);
  await Promise.race([promise, whenAborted(signal)]);
  subscription.unsubscribe();
  return signal.aborted ? left : await promise;
}

async function overEventStream(followed: Followed, start: Start, { onEntry, signal }: Parameters<OpenDoor>[2]) {
  const { url, token, run_id } = followed;
  const path = run_id === undefined ? "/api/v1/events" : `/api/v1/runs/${run_id}/events`;
  const headers = {
    authorization: `Bearer ${token}`,
    ...(start.after !== undefined && { "last-event-id": start.after }),
  };
  try {
    const response = await fetch(`${url}${path}?from=${start.from ?? "oldest"}`, { headers, signal });
    const { status } = response;
    if (status !== 200) return { status, ...readError(await response.text()) };
    for await (const { id, name, data } of readServerSentEvents(response)) {
      if (name === "error") return { status, ...readError(data) };
      if (id !== undefined) onEntry(id, JSON.parse(data) as KsiEvent);
    }
    return { status };
  } catch {
    return signal.aborted ? left : { status: undefined };
  }
}

async function overPlainSocket(followed: Followed, start: Start, { onEntry, signal }: Parameters<OpenDoor>[2]) {
  const { url, token, run_id } = followed;
  const issued = await fetch(`${url}/api/v1/tickets`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  }).catch(() => undefined);
  if (!issued?.ok || signal.aborted) return { status: issued?.status };
  const { ticket } = (await issued.json()) as { ticket: string };
  const query = new URLSearchParams({ ticket, from: start.from ?? "oldest" });
  if (start.after !== undefined) query.set("last_event_id", start.after);
  if (run_id !== undefined) query.set("run_id", run_id);
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws?${query}`);
  const { promise, resolve } = Promise.withResolvers<Ending>();
  let end: Omit<Ending, "status"> = {};
  socket.addEventListener("message", ({ data }) => {
    const { cursor, ...frame } = JSON.parse(String(data)) as KsiEvent & { cursor?: string };
    if (cursor === undefined) end = readError(String(data));
    else onEntry(cursor, frame as KsiEvent);
  });
  socket.addEventListener("close", ({ code }) => resolve({ status: code, ...end }));
  await Promise.race([promise, whenAborted(signal)]);
  socket.close();
  return signal.aborted ? left : await promise;
}

/** Nobody asks how it ended. */
const left: Ending = { status: undefined };

/** Outside tRPC the details stand beside the code. */
function readError(body: string): Omit<Ending, "status"> {
  return body === "" ? {} : readEnd((JSON.parse(body) as { error: Omit<Ending, "status"> }).error);
}

function readEnd({ code, reason, oldest }: Omit<Ending, "status">): Omit<Ending, "status"> {
  return { code, reason, oldest };
}

function whenAborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", resolve, { once: true });
  });
}
