/** Inboxes and events as the programs see them that come in by each door, with the doors' own means and no client of KSI. */
import type {
  Acked,
  AckInput,
  Agent,
  AppRouter,
  EventFilter,
  KsiEvent,
  Message,
  PublishInput,
  RegisterRequest,
  SendInput,
  Sent,
  WireError,
} from "@ksi/contract";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import superjson from "superjson";
import { readServerSentEvents } from "./server-sent-events.ts";

export interface InboxDoor extends AsyncDisposable {
  register(input: RegisterRequest): Promise<unknown>;
  agent(agent_id: string): Promise<Agent>;
  send(message: SendInput): Promise<Sent>;
  ack(input: AckInput): Promise<Acked>;
  publish(event: PublishInput): Promise<unknown>;
  inbox(input: InboxRequest): Following<Message>;
  /** Of the firehose, from the oldest that is kept or after a cursor. */
  events(filter: EventFilter, after?: string): Following<KsiEvent>;
}

export interface InboxRequest {
  readonly agent_id: string;
  /** The cursor to go on after. */
  readonly after?: string | undefined;
  readonly from?: "oldest" | "now";
  readonly mode?: "each" | "shared";
  readonly prefetch?: number;
}

/** One subscription. Disposed of, it has gone away. */
export interface Following<T> extends AsyncDisposable {
  readonly entries: readonly { readonly cursor: string; readonly value: T }[];
  /** Why it was refused or broke off. */
  readonly failure: WireError["code"] | undefined;
}

export interface Address {
  readonly url: string;
  readonly token: string;
}

type OpenDoor = (address: Address) => InboxDoor;

export const inboxDoors: readonly { readonly name: string; readonly open: OpenDoor }[] = [
  { name: "tRPC over WebSocket", open: openTrpc },
  { name: "REST and server-sent events", open: openRest },
  { name: "REST, with the events of a plain WebSocket", open: openRestWithPlainSocket },
];

/** The official client, every call over the one socket. */
function openTrpc({ url, token }: Address): InboxDoor {
  const socket = createWSClient({ url: `${url.replace("http", "ws")}/trpc`, connectionParams: { token } });
  const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client: socket, transformer: superjson })] });
  return {
    register: (input) => trpc.agents.register.mutate(input),
    agent: (agent_id) => trpc.agents.get.query({ agent_id }),
    send: (message) => trpc.messages.send.mutate(message),
    ack: (input) => trpc.messages.ack.mutate(input),
    publish: (event) => trpc.events.publish.mutate(event),
    inbox: ({ after, ...input }) =>
      follow<Message>(async ({ onEntry, onFailure, signal }) => {
        const handlers = handlersOf({ onEntry, onFailure });
        const subscription = trpc.messages.inbox.subscribe({ ...input, lastEventId: after }, handlers);
        signal.addEventListener("abort", () => subscription.unsubscribe());
      }),
    events: (filter, after) =>
      follow<KsiEvent>(async ({ onEntry, onFailure, signal }) => {
        const handlers = handlersOf({ onEntry, onFailure });
        const input = { ...filter, from: "oldest" as const, lastEventId: after };
        const subscription = trpc.events.subscribe.subscribe(input, handlers);
        signal.addEventListener("abort", () => subscription.unsubscribe());
      }),
    [Symbol.asyncDispose]: () => socket.close(),
  };
}

function openRest(address: Address): InboxDoor {
  const call = <T>(method: string, path: string, body?: object) => callRest<T>(address, { method, path, body });
  return {
    register: (input) => call("POST", "/agents/register", input),
    agent: (agent_id) => call("GET", `/agents/${agent_id}`),
    send: (message) => call("POST", "/messages", message),
    ack: ({ agent_id, ids }) => call("POST", `/agents/${agent_id}/inbox/ack`, { ids }),
    publish: (event) => call("POST", "/events", event),
    inbox: ({ agent_id, after, ...query }) =>
      follow<Message>((reader) => readStream(address, { path: `/agents/${agent_id}/inbox`, query, after }, reader)),
    events: (filter, after) =>
      follow<KsiEvent>((reader) =>
        readStream(address, { path: "/events", query: { from: "oldest", ...filter }, after }, reader),
      ),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function openRestWithPlainSocket(address: Address): InboxDoor {
  return {
    ...openRest(address),
    events: (filter, after) =>
      follow<KsiEvent>(async ({ onEntry, onFailure, signal }) => {
        const { ticket } = await callRest<{ ticket: string }>(address, { method: "POST", path: "/tickets" });
        const query = { ticket, from: "oldest", ...filter, ...(after !== undefined && { last_event_id: after }) };
        const socket = new WebSocket(`${address.url.replace("http", "ws")}/ws?${toQuery(query)}`);
        signal.addEventListener("abort", () => socket.close());
        socket.addEventListener("message", ({ data }) => {
          const { cursor, error, ...event } = JSON.parse(String(data)) as KsiEvent & { cursor: string } & RestFailure;
          if (error) onFailure(error.code);
          else onEntry(cursor, event as KsiEvent);
        });
      }),
  };
}

interface Reader<T> {
  onEntry(cursor: string, value: T): void;
  onFailure(code: WireError["code"] | undefined): void;
  readonly signal: AbortSignal;
}

function follow<T>(read: (reader: Reader<T>) => Promise<void>): Following<T> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const entries: { cursor: string; value: T }[] = [];
  let failure: WireError["code"] | undefined;
  const done = read({
    // Whatever is still on its way to one who has gone, nobody has got.
    onEntry: (cursor, value) => void (signal.aborted || entries.push({ cursor, value })),
    onFailure(code) {
      if (!signal.aborted) failure = code ?? "CONNECTION_LOST";
    },
    signal,
  }).catch(() => {
    failure = "CONNECTION_LOST";
  });
  return {
    entries,
    get failure() {
      return failure;
    },
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await done;
    },
  };
}

function handlersOf<T>({ onEntry, onFailure }: Pick<Reader<T>, "onEntry" | "onFailure">) {
  return {
    onData: ({ id, data }: { id: string; data: T }) => onEntry(id, data),
    onError: ({ data }: { data?: { ksi?: WireError } | null | undefined }) => onFailure(data?.ksi?.code),
  };
}

interface RestFailure {
  readonly error?: { readonly code: WireError["code"] };
}

async function callRest<T>(address: Address, request: { method: string; path: string; body?: object | undefined }) {
  const { method, path, body } = request;
  const response = await fetch(`${address.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${address.token}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return answer as T;
}

interface Stream {
  readonly path: string;
  readonly query: object;
  /** Goes into the header, as that of an EventSource that connects again. */
  readonly after: string | undefined;
}

async function readStream<T>({ url, token }: Address, { path, query, after }: Stream, reader: Reader<T>) {
  const { onEntry, onFailure, signal } = reader;
  const headers = { authorization: `Bearer ${token}`, ...(after !== undefined && { "last-event-id": after }) };
  try {
    const response = await fetch(`${url}/api/v1${path}?${toQuery(query)}`, { headers, signal });
    if (!response.ok) onFailure(((await response.json()) as RestFailure).error?.code);
    else {
      for await (const { id = "", name, data } of readServerSentEvents(response)) {
        if (name === "error") onFailure((JSON.parse(data) as RestFailure).error?.code);
        else onEntry(id, JSON.parse(data) as T);
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

/** `a=1&a=2` for lists. */
function toQuery(fields: object): URLSearchParams {
  return new URLSearchParams(
    Object.entries(fields).flatMap(([name, value]) =>
      [value].flat().map((each): [string, string] => [name, String(each)]),
    ),
  );
}
