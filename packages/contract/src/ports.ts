/**
 * What a procedure may call. `core` fulfils these, `server` introduces the two, and every surface (tRPC, REST, the
 * OpenAI routes, the Unix socket) is a reader of the same ports, so that a rule is written once.
 *
 * Ports belong to one tenant: whoever holds them can see and touch nothing else. All reject with a `KsiError`.
 */
import type { EventFilter, KsiEvent, Published, PublishInput, RunEvent } from "./events.ts";
import type {
  Agent,
  AgentsListInput,
  AgentsPage,
  Heartbeat,
  Registered,
  RegisterInput,
  Unregistered,
} from "./schemas/agents.ts";
import type { FollowInput } from "./schemas/common.ts";
import type {
  Acked,
  AckInput,
  DeadLettersInput,
  DeadLettersPage,
  HistoryInput,
  InboxInput,
  Message,
  MessagesPage,
  Nacked,
  NackInput,
  RedriveInput,
  Redriven,
  Replied,
  RequestInput,
  SendBatchInput,
  SendInput,
  Sent,
  SentBatch,
} from "./schemas/messages.ts";
import type { Profile, ProfilesList } from "./schemas/profiles.ts";
import type {
  CancelInput,
  CancelOutput,
  ResultInput,
  Run,
  RunsListInput,
  RunsPage,
  SpawnAccepted,
  SpawnInput,
} from "./schemas/runs.ts";
import type {
  PageInput,
  Session,
  SessionDeleted,
  SessionMessages,
  SessionMessagesInput,
  SessionsPage,
} from "./schemas/sessions.ts";
import type {
  StateDeleted,
  StateDeleteInput,
  StateEntry,
  StateListInput,
  StatePage,
  StateRef,
  StateSet,
  StateSetInput,
} from "./schemas/state.ts";
import type { Health, ShutdownOutput, SystemStatus } from "./schemas/system.ts";

/** One event and its place in the channel that is being followed. */
export interface Entry<E> {
  cursor: string;
  event: E;
  /** The event's JSON as it is stored, in one line, for doors that send it without encoding it again. */
  json: string;
}

/**
 * A channel being read: first what is kept after the starting point, then what comes, in order and without a hole.
 * Iterating opens it; leaving the loop, or the signal it was opened with, closes it. Throws `HISTORY_TRIMMED` where
 * it cannot go on without a hole. One iteration per follow.
 */
export interface Follow<E> extends AsyncIterable<Entry<E>> {
  /** The channel's name without prefix and tenant, such as `runs:3f2b…`. */
  readonly channel: string;
  /**
   * The same entries as they arrived together, at least one at a time; to be iterated instead of the follow itself.
   * Followers of one channel are given the same array wherever they can be, so that what a door makes of one can be kept
   * beside it and sent to all.
   */
  batches(): AsyncIterable<readonly Entry<E>[]>;
}

export interface RunsPort {
  /** Durable once it resolves. `CONFLICT` for an idempotency key with another body. */
  spawn(input: SpawnInput): Promise<SpawnAccepted>;
  get(runId: string): Promise<Run>;
  list(input: RunsListInput): Promise<RunsPage>;
  /** The run, as soon as it is final or `wait_ms` is over, whichever is first. */
  result(input: ResultInput, signal?: AbortSignal): Promise<Run>;
  /** True in the whole cluster: a queued run never starts, a running agent's process tree is ended. */
  cancel(input: CancelInput): Promise<CancelOutput>;
  /** From the oldest event unless told otherwise; ends after the final event. */
  events(runId: string, from: FollowInput, signal?: AbortSignal): Promise<Follow<RunEvent>>;
}

export interface SessionsPort {
  list(input: PageInput): Promise<SessionsPage>;
  get(sessionId: string): Promise<Session>;
  messages(input: SessionMessagesInput): Promise<SessionMessages>;
  /** Removes the session and its runs. `CONFLICT` while one of them is queued or running. */
  delete(sessionId: string): Promise<SessionDeleted>;
}

export interface AgentsPort {
  register(input: RegisterInput): Promise<Registered>;
  unregister(agentId: string): Promise<Unregistered>;
  get(agentId: string): Promise<Agent>;
  list(input: AgentsListInput): Promise<AgentsPage>;
  /** A sign of life. */
  heartbeat(agentId: string): Promise<Heartbeat>;
}

export interface MessagesPort {
  /** Durable once it resolves. */
  send(input: SendInput): Promise<Sent>;
  /** Each as `send` would; rejects only where none could be stored. */
  sendBatch(input: SendBatchInput): Promise<SentBatch>;
  /** Sends, and waits for the first answer. `TIMEOUT` where none comes; the message stays sent. */
  request(input: RequestInput, signal?: AbortSignal): Promise<Replied>;
  history(input: HistoryInput): Promise<MessagesPage>;
  /** While it is iterated the agent is online. Never ends by itself. */
  inbox(input: InboxInput, signal?: AbortSignal): Promise<Follow<Message>>;
  ack(input: AckInput): Promise<Acked>;
  nack(input: NackInput): Promise<Nacked>;
  deadLetters(input: DeadLettersInput): Promise<DeadLettersPage>;
  redrive(input: RedriveInput): Promise<Redriven>;
}

export interface StatePort {
  get(ref: StateRef): Promise<StateEntry>;
  set(input: StateSetInput): Promise<StateSet>;
  delete(input: StateDeleteInput): Promise<StateDeleted>;
  list(input: StateListInput): Promise<StatePage>;
}

export interface ProfilesPort {
  list(): Promise<ProfilesList>;
  /** `NOT_FOUND` names those that there are; `INVALID_INPUT` says why a file of this name is no profile. */
  get(name: string): Promise<Profile>;
}

export interface EventsPort {
  publish(input: PublishInput): Promise<Published>;
  /** The firehose: every state change and message of the tenant, no text deltas. From now unless told otherwise. */
  subscribe(filter: EventFilter, from: FollowInput, signal?: AbortSignal): Promise<Follow<KsiEvent>>;
}

export interface SystemPort {
  status(): Promise<SystemStatus>;
  health(): Promise<Health>;
  /** Answers first, then drains and stops the daemon. */
  shutdown(): Promise<ShutdownOutput>;
}

export interface Ports {
  runs: RunsPort;
  sessions: SessionsPort;
  agents: AgentsPort;
  messages: MessagesPort;
  profiles: ProfilesPort;
  state: StatePort;
  events: EventsPort;
  system: SystemPort;
}
