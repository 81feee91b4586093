/** The contract's router over real sockets, with ports in memory and faults on command. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type AckInput,
  type Agent,
  appRouter,
  type CancelInput,
  type Context,
  type InboxInput,
  isFinalRunEvent,
  KsiError,
  type KsiEvent,
  limits,
  type Message,
  type NackInput,
  type Ports,
  type RequestInput,
  type Run,
  type RunEvent,
  type SendInput,
  type SpawnInput,
  type StateSetInput,
} from "@ksi/contract";
import { createHTTPHandler } from "@trpc/server/adapters/standalone";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import { WebSocketServer } from "ws";
import { createFakeLog, type FakeLog } from "./fake-log.ts";
import { createFakeSharedInbox, type FakeSharedInbox } from "./fake-shared-inbox.ts";

export interface FakeDaemon extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly run_id: string;
  /** Events of the one run that it knows from the start. */
  readonly log: FakeLog<RunEvent>;
  /** The inbox of bob, for consumers that get every message each. Nothing is left out that was acknowledged. */
  readonly inbox: FakeLog<Message>;
  /** What inboxes were asked for. */
  readonly followed: InboxInput[];
  /** The inbox of bob, for consumers that share it. */
  readonly shared: FakeSharedInbox;
  readonly firehose: FakeLog<KsiEvent>;
  readonly runs: Map<string, Run>;
  readonly spawned: SpawnInput[];
  /** From now on a spawned run is complete at once. */
  completeSpawned(outcome: Pick<Run, "result" | "output">): void;
  readonly cancelled: CancelInput[];
  /** Calls of `messages.send`, `messages.request`, `messages.ack` and `state.set` that were carried out. */
  readonly sent: SendInput[];
  readonly requested: RequestInput[];
  readonly acked: AckInput[];
  readonly nacked: NackInput[];
  readonly set: StateSetInput[];
  /** HTTP requests so far. */
  readonly requests: string[];
  readonly faults: {
    /** The next calls do their work, and then the connection breaks before the answer. */
    loseAnswers: number;
    /** The next calls are refused. */
    refuse: KsiError[];
    /** Calls of `runs.result` and `messages.request` wait for this. */
    resultGate: Promise<void>;
  };
  /** WebSockets that are open. */
  readonly sockets: number;
  /** Tears every WebSocket down, without a word. */
  cut(): void;
  /** Closes every WebSocket as the protocol wants it. */
  hangUp(): void;
  /** Asks the clients to move to a new socket, as before a restart. */
  askToReconnect(): void;
  stop(): Promise<void>;
  /** Again on the same port. */
  start(): Promise<void>;
}

const token = "a-token-of-the-fake-daemon";
const timestamp = "2026-11-21T00:00:00.000Z";
const run_id = "run-1";
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";

export async function startFakeDaemon(): Promise<FakeDaemon> {
  const log = createFakeLog<RunEvent>();
  const inbox = createFakeLog<Message>();
  const shared = createFakeSharedInbox();
  const firehose = createFakeLog<KsiEvent>();
  const runs = new Map<string, Run>([[run_id, aRun({ run_id, status: "running" })]]);
  const keys = new Map<string, string>();
  const spawned: SpawnInput[] = [];
  const cancelled: CancelInput[] = [];
  const sent: SendInput[] = [];
  const messages = new Map<string, Message>();
  const requested: RequestInput[] = [];
  const acked: AckInput[] = [];
  const nacked: NackInput[] = [];
  const followed: InboxInput[] = [];
  const set: StateSetInput[] = [];
  const requests: string[] = [];
  const faults: FakeDaemon["faults"] = { loseAnswers: 0, refuse: [], resultGate: Promise.resolve() };
  let spawnedAs: Partial<Run> & Pick<Run, "status"> = { status: "running" };
  let server: Server;
  let wss: WebSocketServer;
  let handler: ReturnType<typeof applyWSSHandler>;
  let port = 0;

  const get = async (id: string): Promise<Run> => {
    const run = runs.get(id);
    if (!run) throw new KsiError("NOT_FOUND", `There is no run ${id}.`);
    return run;
  };
  const work = async <T>(answer: T): Promise<T> => {
    if (faults.loseAnswers-- > 0) {
      server.closeAllConnections();
      cut();
    }
    return answer;
  };
  const refuse = () => {
    const refusal = faults.refuse.shift();
    if (refusal) throw refusal;
  };

  const ports: Ports = {
    runs: {
      async spawn(input) {
        refuse();
        spawned.push(input);
        const key = input.idempotency_key ?? `none-${spawned.length}`;
        const id = keys.get(key) ?? `run-${runs.size + 1}`;
        keys.set(key, id);
        if (!runs.has(id)) runs.set(id, aRun({ run_id: id, ...spawnedAs }));
        return work({ status: "accepted", run_id: id, session_id, message: "accepted" } as const);
      },
      async get(id) {
        refuse();
        return work(await get(id));
      },
      list: async () => ({ runs: [...runs.values()] }),
      async result(input) {
        await faults.resultGate;
        return get(input.run_id);
      },
      async cancel(input) {
        cancelled.push(input);
        return { run_id: input.run_id, status: "running", cancelled: true };
      },
      async events(id, start, signal) {
        await get(id);
        return log.follow(start, { signal, from: "oldest", isLast: isFinalRunEvent });
      },
    },
    messages: {
      async send(input) {
        refuse();
        sent.push(input);
        const { idempotency_key = `none-${sent.length}`, target } = input;
        const known = messages.get(idempotency_key);
        const message = known ?? toMessage(input, messages.size + 1);
        messages.set(idempotency_key, message);
        if (!known && (target === undefined || target === "bob")) {
          inbox.append(message);
          shared.append(message);
        }
        return work({ status: "sent", id: message.id, ...(target && { target }), recipients: 1 } as const);
      },
      async sendBatch({ messages: inputs }) {
        return { results: await Promise.all(inputs.map((input) => ports.messages.send(input))) };
      },
      async request(input) {
        refuse();
        requested.push(input);
        await faults.resultGate;
        const { source, target = "bob", correlation_id = "c1" } = input;
        const reply = { id: "r1", source: target, target: source, event_type: "x.reply", payload: 4, timestamp };
        return work({ status: "replied", id: "m1", reply: { ...reply, correlation_id } } as const);
      },
      history: async () => ({ messages: [] }),
      async inbox(input, signal) {
        followed.push(input);
        const { agent_id, mode, prefetch, lastEventId, from } = input;
        if (mode === "shared") return shared.follow(prefetch, signal);
        const log = agent_id === "bob" ? inbox : createFakeLog<Message>();
        return log.follow({ lastEventId, from }, { signal, from: "oldest" });
      },
      async ack(input) {
        refuse();
        acked.push(input);
        shared.ack(input.ids);
        return work({ status: "acked", acked: input.ids.length } as const);
      },
      async nack(input) {
        refuse();
        nacked.push(input);
        shared.giveBack(input.ids);
        return work({ status: "nacked", nacked: input.ids.length } as const);
      },
      deadLetters: async () => ({ dead_letters: [] }),
      redrive: async () => work({ status: "redriven", redriven: 0 } as const),
    },
    state: {
      async set(input) {
        refuse();
        set.push(input);
        const { namespace, key } = input;
        return work({ status: "set", namespace, key, version: set.length, updated_at: timestamp } as const);
      },
      async get({ namespace, key }) {
        refuse();
        const value = set.findLast((one) => one.namespace === namespace && one.key === key)?.value ?? null;
        return work({ namespace, key, value, version: set.length, updated_at: timestamp });
      },
      delete: async ({ namespace, key }) => work({ status: "deleted", namespace, key } as const),
      list: async () => ({ entries: [] }),
    },
    profiles: absent<Ports["profiles"]>(),
    events: {
      publish: async () => ({ status: "published", id: "e1" }),
      subscribe: async (_filter, start, signal) => firehose.follow(start, { signal, from: "now" }),
    },
    sessions: absent<Ports["sessions"]>(),
    agents: {
      ...absent<Ports["agents"]>(),
      register: async (agent) => work({ status: "registered", agent: anAgent(agent) } as const),
      unregister: async (agent_id) => ({ status: "unregistered", agent_id }),
      heartbeat: async (agent_id) => work({ status: "online", agent_id, offline_after_ms: 30_000 } as const),
    },
    system: absent<Ports["system"]>(),
  };

  const contextOf = (shown: string | undefined): Context => ({
    ...(shown === token && { ports }),
    health: async () => ({ status: "ok", version: "0.0.0" }),
  });

  async function start() {
    const http = createHTTPHandler({
      router: appRouter,
      basePath: "/trpc/",
      maxBatchSize: 10,
      createContext: ({ req }) => contextOf(req.headers.authorization?.replace("Bearer ", "")),
    });
    server = createServer((req, res) => {
      requests.push(req.url ?? "");
      http(req, res);
    });
    wss = new WebSocketServer({ server, path: "/trpc", maxPayload: limits.bodyBytes });
    handler = applyWSSHandler({
      wss,
      router: appRouter,
      createContext: ({ info }) => contextOf(info.connectionParams?.token),
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  }

  function cut() {
    for (const socket of wss.clients) socket.terminate();
  }

  async function stop() {
    if (!server.listening) return;
    cut();
    wss.close();
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }

  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    run_id,
    log,
    inbox,
    followed,
    shared,
    firehose,
    runs,
    spawned,
    completeSpawned(outcome) {
      spawnedAs = { status: "completed", ...outcome };
    },
    cancelled,
    sent,
    requested,
    acked,
    nacked,
    set,
    requests,
    faults,
    get sockets() {
      return wss.clients.size;
    },
    cut,
    hangUp() {
      for (const socket of wss.clients) socket.close(1001);
    },
    askToReconnect: () => handler.broadcastReconnectNotification(),
    stop,
    start,
    [Symbol.asyncDispose]: stop,
  };
}

export function aRun(run: Partial<Run> & Pick<Run, "run_id" | "status">): Run {
  return {
    session_id,
    model: "echo",
    priority: 50,
    timeout_ms: 300_000,
    created_at: timestamp,
    ...run,
  };
}

/** The message that a send makes. */
function toMessage({ ttl_ms: _, idempotency_key: __, capability, ...input }: SendInput, number: number): Message {
  return {
    ...input,
    ...(capability !== undefined && { capability: [capability].flat() }),
    id: uuid(number),
    timestamp,
  };
}

/** A message to bob from alice with this number as its payload and in its id. */
export function aMessage(number: number, message: Partial<Message> = {}): Message {
  return {
    id: uuid(number),
    source: "alice",
    target: "bob",
    event_type: "x.n",
    payload: number,
    timestamp,
    ...message,
  };
}

function uuid(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

function anAgent(agent: Pick<Agent, "agent_id"> & { capabilities?: string[] | undefined }): Agent {
  const now = { last_seen: timestamp, registered_at: timestamp, updated_at: timestamp };
  return { ...agent, capabilities: agent.capabilities ?? [], status: "online", ...now };
}

/** `run.text` events whose texts count on from `first`. */
export function texts(first: number, count: number): RunEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `e${first + index}`,
    source: "ksi",
    timestamp,
    run_id,
    session_id,
    event_type: "run.text",
    payload: { text: String(first + index) },
  }));
}

export const finalEvent: RunEvent = {
  id: "last",
  source: "ksi",
  timestamp,
  run_id,
  session_id,
  event_type: "run.completed",
  payload: { result: "done", model: "echo", duration_ms: 1 },
};

function absent<T extends object>(): T {
  return new Proxy({} as T, {
    get: () => () => Promise.reject(new KsiError("INTERNAL", "The fake daemon does not have this.")),
  });
}
