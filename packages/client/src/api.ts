/** What a client offers: its options, and every call by name. */
import type {
  Acked,
  AckInput,
  Agent,
  AgentsPage,
  AppRouter,
  CancelOutput,
  DeadLettersPage,
  Health,
  Heartbeat,
  Json,
  Message,
  MessagesPage,
  Nacked,
  Profile,
  ProfilesList,
  Published,
  PublishInput,
  RedriveInput,
  Redriven,
  Registered,
  RegisterRequest,
  RequestRequest,
  Run,
  RunsPage,
  SendInput,
  Sent,
  SentBatch,
  Session,
  SessionDeleted,
  SessionMessages,
  SessionsPage,
  ShutdownOutput,
  SpawnRequest,
  SystemStatus,
  Unregistered,
} from "@ksi/contract";
import type { TRPCClient } from "@trpc/client";
import type { inferRouterInputs } from "@trpc/server";
import type { AgentHandle } from "./agent.ts";
import type { CallOptions } from "./call.ts";
import type { EventStream, FollowOptions } from "./event-stream.ts";
import type { EventOf, FilterOf } from "./event-types.ts";
import type { Fetch } from "./guarded-fetch.ts";
import type { InboxOptions } from "./inbox.ts";
import type { CallsOver } from "./links.ts";
import type { OutputSchema } from "./output-schema.ts";
import type { WithPayload, WithPayloads } from "./payload.ts";
import type { Answered, RequestOptions } from "./request.ts";
import type { CancelOptions, RunHandle } from "./run.ts";
import type { Connection, WebSocketClass } from "./socket.ts";
import type { StateCalls } from "./state.ts";

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
   * What calls travel over. With `websocket` they share the one that events come over, which saves each an HTTP request:
   * for agents that talk a lot. It stays open for 3 s after the last call, and keeps a program for as long that does not
   * close its client. Inputs of more than 16 kB go over HTTP all the same. Default `http`.
   */
  calls?: CallsOver | undefined;
  /**
   * How often a call that may be repeated (a query, or one that does nothing twice, such as `run` and `messages.send`,
   * which carry an idempotency key) is made again when the daemon cannot be reached, is restarting, or has lost its
   * store. Default 4, which takes about 4 s.
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
 * Every call takes an AbortSignal and rejects with a KsiError; see the list of codes there. Calls that only read, and
 * those that say "repeated", are made again for a while when the daemon is away; all others are made once.
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
    /** A known id gets this profile, these capabilities and metadata instead; its inbox stays. Repeated. */
    register(input: RegisterRequest, options?: CallOptions): Promise<Registered>;
    /** Forgets the agent and its inbox. */
    unregister(agentId: string, options?: CallOptions): Promise<Unregistered>;
    get(agentId: string, options?: CallOptions): Promise<Agent>;
    /** In order of agent_id; with filters only those that match each. */
    list(input?: Inputs["agents"]["list"], options?: CallOptions): Promise<AgentsPage>;
    /** A sign of life, for an agent that does not follow its inbox all the time: one that does needs none. Repeated. */
    heartbeat(agentId: string, options?: CallOptions): Promise<Heartbeat>;
    /**
     * The agent's messages: first those that nobody has acknowledged, then what comes. Never ends by itself. Acknowledge
     * each with `messages.ack`, or `join` for a handle that does. With a cursor it goes on there, and with `from` it is
     * only looked at. With `mode: "shared"` the messages are divided among all loops that share the inbox.
     */
    inbox(agentId: string, options?: InboxOptions): EventStream<Message>;
    /** Registers the agent that this program is, and gives a handle on it. A known id is registered anew. Repeated. */
    join(input: RegisterRequest, options?: CallOptions): Promise<AgentHandle>;
  };
  readonly messages: {
    /**
     * To `target`, to the best of the online agents with a `capability` (`NO_AGENT` lists what there is), or without
     * either to every registered agent but the source. Without an `idempotency_key` of yours it gets a random one, so it
     * is repeated and never sent twice. `INBOX_FULL`, `RATE_LIMITED` and `LOOP_DETECTED` refuse it.
     */
    send<P>(input: WithPayload<SendInput, P>, options?: CallOptions): Promise<Sent>;
    /**
     * Up to 500 messages in one call, which arrive in their order: about twice as many a second as with a call for each. Gives for
     * each what `send` would, or `{ status: "refused", error }`. Repeated.
     */
    sendBatch<Payloads extends readonly unknown[]>(
      messages: WithPayloads<SendInput, Payloads>,
      options?: CallOptions,
    ): Promise<SentBatch["results"]>;
    /**
     * Sends, and waits up to `timeout_ms` (default 30 s, at most 10 min) for the first answer: a message with the same
     * `correlation_id` to the source, which need not be registered for it. `TIMEOUT` where none came; the message stays
     * sent, and `details.message_id` names it. `AGENT_FAILED` where the answer is an error: `details.agent_error`. From 50 s on it waits over the WebSocket, since what is between may end
     * an HTTP request that stays silent for a minute.
     */
    request<P, Answer = Json>(
      input: WithPayload<RequestRequest, P>,
      options?: RequestOptions<Answer>,
    ): Promise<Answered<Answer>>;
    /** Direct ones and broadcasts that match each filter, oldest first. With filters a page may be short and have a `next`. */
    history(input?: Inputs["messages"]["history"], options?: CallOptions): Promise<MessagesPage>;
    /** These are not delivered again, to any consumer of the inbox. Repeated. */
    ack(input: AckInput, options?: CallOptions): Promise<Acked>;
    /**
     * Gives messages of a shared inbox back that were not dealt with: to the next consumer, at once or after `delay_ms`.
     * Repeated.
     */
    nack(input: Inputs["messages"]["nack"], options?: CallOptions): Promise<Nacked>;
    /** Messages that cannot be delivered any more, oldest first, and why. */
    deadLetters(input: Inputs["messages"]["deadLetters"], options?: CallOptions): Promise<DeadLettersPage>;
    /** Puts dead letters, all unless `ids` names some, back at the end of the inbox. Repeated. */
    redrive(input: RedriveInput, options?: CallOptions): Promise<Redriven>;
  };
  /** JSON that agents share, by namespace and key. */
  readonly state: StateCalls;
  readonly profiles: {
    /** Presets for runs and agents, and files that are none. */
    list(options?: CallOptions): Promise<ProfilesList>;
    get(name: string, options?: CallOptions): Promise<Profile>;
  };
  readonly events: {
    /**
     * The firehose: every change of state and every message, but no text of runs. From now on unless told otherwise. With
     * `types` that are written out, the events have the types of these.
     */
    subscribe<const Type extends string>(filter?: FilterOf<Type>, options?: FollowOptions): EventStream<EventOf<Type>>;
    /** Publishes an event of your own, whose type starts with `x.`. */
    publish<P>(input: WithPayload<PublishInput, P>, options?: CallOptions): Promise<Published>;
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
  /** Where the WebSocket stands. */
  readonly connection: Connection;
  /** Ends all loops, cancels all calls and closes the WebSocket; nothing is left that would keep a process alive. */
  close(): Promise<void>;
}
