/** The client: every call of KSI by name, with types, and handles for what has a life of its own. */
import type {
  Agent,
  AgentsPage,
  AppRouter,
  CancelOutput,
  EventFilter,
  Health,
  KsiEvent,
  Message,
  MessagesPage,
  Published,
  PublishInput,
  Registered,
  RegisterRequest,
  Run,
  RunsPage,
  SendInput,
  Sent,
  Session,
  SessionDeleted,
  SessionMessages,
  SessionsPage,
  ShutdownOutput,
  SpawnRequest,
  SystemStatus,
  Unregistered,
} from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { createTRPCClient, type TRPCClient } from "@trpc/client";
import type { inferRouterInputs } from "@trpc/server";
import { type CallOptions, call } from "./call.ts";
import { createEventStream, type EventStream, type FollowOptions } from "./event-stream.ts";
import { createGuardedFetch, type Fetch } from "./guarded-fetch.ts";
import { createLinks } from "./links.ts";
import { type OutputSchema, toJsonSchema } from "./output-schema.ts";
import { type CancelOptions, createRunHandle, type RunHandle } from "./run.ts";
import { type Connection, createSocket, type WebSocketClass } from "./socket.ts";

export interface KsiClientOptions {
  /** Where the daemon listens, such as `http://127.0.0.1:8000`; with a path if a proxy serves it under one. */
  url: string | URL;
  /** The daemon's token: `ksi token` prints it, `{data_dir}/token` holds it. */
  token?: string | undefined;
  /** Default: the runtime's own. Node before 22 has none; pass the class of the package `ws` there. */
  webSocket?: WebSocketClass | undefined;
  /** Default: the runtime's own. */
  fetch?: Fetch | undefined;
  /** Told whenever the state of the WebSocket changes, and at each try that failed. */
  onConnection?: ((connection: Connection) => void) | undefined;
  /**
   * How often a call that may be repeated (a query, or `run`, which carries an idempotency key) is made again when the
   * daemon cannot be reached, is restarting, or has lost its store. Default 4, which takes about 4 s.
   */
  retries?: number | undefined;
}

/** What `run` takes: the fields of `runs.spawn`, and `output`, a schema for a typed result. */
export interface RunRequest<Output = unknown> extends SpawnRequest {
  /** A zod schema (4.2 or later), or another Standard Schema that describes itself as JSON Schema. */
  output?: OutputSchema<Output> | undefined;
}

export interface AttachOptions<Output = unknown> extends CallOptions {
  /** The schema of the run's output, for a typed result. */
  output?: OutputSchema<Output> | undefined;
}

type Inputs = inferRouterInputs<AppRouter>;

/**
 * Every call takes an AbortSignal and rejects with a KsiError; see the list of codes there. Calls that only read are
 * repeated for a while when the daemon is away; calls that change something are not, `run` excepted.
 */
export interface KsiClient extends AsyncDisposable {
  /**
   * Hands a prompt to an agent. Durable once it resolves. Without an `idempotency_key` of yours it gets a random one,
   * so that a repeated request never starts a second run. `INVALID_INPUT` names the field, `FORBIDDEN` a `cwd` outside
   * the roots, `CONFLICT` an idempotency key that was used for another request.
   */
  run<Output>(
    request: RunRequest<Output> & { output: OutputSchema<Output> },
    options?: CallOptions,
  ): Promise<RunHandle<Output>>;
  run(request: RunRequest, options?: CallOptions): Promise<RunHandle>;

  readonly runs: {
    /** A handle on a run that was started elsewhere or earlier. */
    attach<Output>(
      runId: string,
      options: AttachOptions<Output> & { output: OutputSchema<Output> },
    ): Promise<RunHandle<Output>>;
    attach(runId: string, options?: AttachOptions): Promise<RunHandle>;
    get(runId: string, options?: CallOptions): Promise<Run>;
    /** Newest first. `next` of the answer is `after` of the next page. */
    list(input?: Inputs["runs"]["list"], options?: CallOptions): Promise<RunsPage>;
    cancel(runId: string, reason?: string, options?: CancelOptions): Promise<CancelOutput>;
  };
  readonly sessions: {
    /** Most recently used first. */
    list(input?: Inputs["sessions"]["list"], options?: CallOptions): Promise<SessionsPage>;
    get(sessionId: string, options?: CallOptions): Promise<Session>;
    /** What was said, oldest first. */
    messages(input: Inputs["sessions"]["messages"], options?: CallOptions): Promise<SessionMessages>;
    /** Forgets the session and its runs. `CONFLICT` while one of them is queued or running. */
    delete(sessionId: string, options?: CallOptions): Promise<SessionDeleted>;
  };
  readonly agents: {
    /** A known id gets this profile, these capabilities and metadata instead; its inbox stays. */
    register(input: RegisterRequest, options?: CallOptions): Promise<Registered>;
    /** Forgets the agent and its inbox. */
    unregister(agentId: string, options?: CallOptions): Promise<Unregistered>;
    get(agentId: string, options?: CallOptions): Promise<Agent>;
    /** In order of agent_id. */
    list(input?: Inputs["agents"]["list"], options?: CallOptions): Promise<AgentsPage>;
    /** The agent's messages, from the oldest kept on unless told otherwise, and then as they come. Never ends by itself. */
    inbox(agentId: string, options?: FollowOptions): EventStream<Message>;
  };
  readonly messages: {
    /** To one agent, or without `target` to every registered agent but the source. */
    send(input: SendInput, options?: CallOptions): Promise<Sent>;
    /** Oldest first. */
    history(input?: Inputs["messages"]["history"], options?: CallOptions): Promise<MessagesPage>;
  };
  readonly events: {
    /** The firehose: every change of state and every message, but no text of runs. From now on unless told otherwise. */
    subscribe(filter?: EventFilter, options?: FollowOptions): EventStream<KsiEvent>;
    /** Publishes an event of your own, whose type starts with `x.`. */
    publish(input: PublishInput, options?: CallOptions): Promise<Published>;
  };
  readonly system: {
    status(options?: CallOptions): Promise<SystemStatus>;
    /** Needs no token. */
    health(options?: CallOptions): Promise<Health>;
    /** Drains and stops the daemon. */
    shutdown(options?: CallOptions): Promise<ShutdownOutput>;
  };

  /** The raw tRPC client, for what has no method here. Rejects with TRPCClientError, and repeats nothing. */
  readonly trpc: TRPCClient<AppRouter>;
  /** Where the WebSocket of the subscriptions stands. */
  readonly connection: Connection;
  /** Ends all loops, cancels all calls and closes the WebSocket; nothing is left that would keep a process alive. */
  close(): Promise<void>;
}

const defaultRetries = 4;

/**
 * Makes a client. Opens nothing yet: calls go over HTTP as they are made, and the WebSocket is open only while something
 * is followed. Throws `INVALID_INPUT` for a url that is none.
 */
export function createKsiClient(options: KsiClientOptions): KsiClient {
  const { token, webSocket, onConnection, retries = defaultRetries } = options;
  const url = endpoint(options.url);
  const socket = createSocket({ url: toWebSocketUrl(url), token, webSocket, onConnection });
  const trpc = createTRPCClient<AppRouter>({
    links: createLinks({ url, token, fetch: createGuardedFetch(url, options.fetch), socket }),
  });
  const closing = new AbortController();
  const closed = closing.signal;

  type Attempt<T> = (options: { signal: AbortSignal }) => Promise<T>;
  const make = <T>(attempt: Attempt<T>, { signal }: CallOptions, times: number) =>
    call((attemptSignal) => attempt({ signal: attemptSignal }), {
      signals: signal ? [closed, signal] : [closed],
      retries: times,
    });
  const once = <T>(callOptions: CallOptions | undefined, attempt: Attempt<T>) => make(attempt, callOptions ?? {}, 0);
  const again = <T>(callOptions: CallOptions | undefined, attempt: Attempt<T>) =>
    make(attempt, callOptions ?? {}, retries);

  async function run<Output>(request: RunRequest<Output>, callOptions?: CallOptions): Promise<RunHandle<Output>> {
    const { output, ...spawn } = request;
    const input = {
      idempotency_key: randomKey(),
      ...(output && { output_schema: toJsonSchema(output) }),
      ...spawn,
    };
    const ids = await again(callOptions, (o) => trpc.runs.spawn.mutate(input, o));
    return createRunHandle({ trpc, ids, output, closed });
  }

  async function attach<Output>(runId: string, attachOptions: AttachOptions<Output> = {}): Promise<RunHandle<Output>> {
    const ids = await again(attachOptions, (o) => trpc.runs.get.query({ run_id: runId }, o));
    return createRunHandle({ trpc, ids, output: attachOptions.output, closed });
  }

  function close(): Promise<void> {
    closing.abort(new KsiError("CANCELLED", "This client was closed; make another with createKsiClient."));
    return socket.close();
  }

  return {
    run: run as KsiClient["run"],
    runs: {
      attach: attach as KsiClient["runs"]["attach"],
      get: (run_id, c) => again(c, (o) => trpc.runs.get.query({ run_id }, o)),
      list: (input = {}, c) => again(c, (o) => trpc.runs.list.query(input, o)),
      cancel: (run_id, reason, c) =>
        once(c, (o) => trpc.runs.cancel.mutate({ run_id, reason, grace_ms: c?.grace_ms }, o)),
    },
    sessions: {
      list: (input = {}, c) => again(c, (o) => trpc.sessions.list.query(input, o)),
      get: (session_id, c) => again(c, (o) => trpc.sessions.get.query({ session_id }, o)),
      messages: (input, c) => again(c, (o) => trpc.sessions.messages.query(input, o)),
      delete: (session_id, c) => once(c, (o) => trpc.sessions.delete.mutate({ session_id }, o)),
    },
    agents: {
      register: (input, c) => once(c, (o) => trpc.agents.register.mutate(input, o)),
      unregister: (agent_id, c) => once(c, (o) => trpc.agents.unregister.mutate({ agent_id }, o)),
      get: (agent_id, c) => again(c, (o) => trpc.agents.get.query({ agent_id }, o)),
      list: (input = {}, c) => again(c, (o) => trpc.agents.list.query(input, o)),
      inbox: (agent_id, follow = {}) =>
        createEventStream<Message>(
          { subscribe: (start, handlers) => trpc.messages.inbox.subscribe({ agent_id, ...start }, handlers) },
          follow,
          closed,
        ),
    },
    messages: {
      send: (input, c) => once(c, (o) => trpc.messages.send.mutate(input, o)),
      history: (input = {}, c) => again(c, (o) => trpc.messages.history.query(input, o)),
    },
    events: {
      subscribe: (filter = {}, follow = {}) =>
        createEventStream<KsiEvent>(
          { subscribe: (start, handlers) => trpc.events.subscribe.subscribe({ ...filter, ...start }, handlers) },
          follow,
          closed,
        ),
      publish: (input, c) => once(c, (o) => trpc.events.publish.mutate(input, o)),
    },
    system: {
      status: (c) => again(c, (o) => trpc.system.status.query(undefined, o)),
      health: (c) => again(c, (o) => trpc.system.health.query(undefined, o)),
      shutdown: (c) => once(c, (o) => trpc.system.shutdown.mutate(undefined, o)),
    },
    trpc,
    get connection() {
      return socket.connection;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** `{url}/trpc`, under the path of the url if it has one. */
function endpoint(url: string | URL): URL {
  try {
    const base = new URL(url);
    if (!/^https?:$/.test(base.protocol)) throw new Error(`the protocol is ${base.protocol}`);
    return new URL(`${base.pathname.replace(/\/$/, "")}/trpc`, base);
  } catch (cause) {
    throw new KsiError("INVALID_INPUT", "url: must be an address such as http://127.0.0.1:8000", { cause });
  }
}

function toWebSocketUrl(url: URL): URL {
  const copy = new URL(url);
  copy.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return copy;
}

/** Not `randomUUID`: browsers have that only on https and localhost. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
