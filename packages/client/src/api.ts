/** What a client offers: its options, and every call by name. */
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
import type { TRPCClient } from "@trpc/client";
import type { inferRouterInputs } from "@trpc/server";
import type { CallOptions } from "./call.ts";
import type { EventStream, FollowOptions } from "./event-stream.ts";
import type { Fetch } from "./guarded-fetch.ts";
import type { OutputSchema } from "./output-schema.ts";
import type { CancelOptions, RunHandle } from "./run.ts";
import type { Connection, WebSocketClass } from "./socket.ts";

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
