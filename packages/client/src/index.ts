/** The typed KSI client for Node and browsers. Start at `createKsiClient`. */
export type {
  Agent,
  AgentError,
  AgentEvent,
  AgentStatus,
  CustomEvent,
  DeadLetter,
  EventFilter,
  Health,
  Image,
  Json,
  JsonObject,
  KsiEvent,
  Message,
  MessageEvent,
  Profile,
  PublishInput,
  RegisterRequest,
  Replied,
  RequestRequest,
  Run,
  RunEvent,
  RunStatus,
  SendInput,
  Sent,
  Session,
  SessionEvent,
  SpawnRequest,
  StateEntry,
  StateEvent,
  StateSetInput,
  SystemStatus,
  Usage,
} from "@ksi/contract";
export { type ErrorCode, type ErrorDetails, isErrorCode, KsiError, type RunErrorCode } from "@ksi/contract/errors";
export type { AgentHandle } from "./agent.ts";
export type { AttachOptions, KsiClient, KsiClientOptions, RunRequest } from "./api.ts";
export type { CallOptions } from "./call.ts";
export { createKsiClient } from "./client.ts";
export type { EventStream, FollowOptions, Gap } from "./event-stream.ts";
export type { EventOf, FilterOf } from "./event-types.ts";
export type { HandleOptions, MessageHandler } from "./handle-messages.ts";
export type { InboxOptions, OwnInboxOptions, SharedInboxOptions } from "./inbox.ts";
export type { OutputSchema } from "./output-schema.ts";
export type { JsonCompatible } from "./payload.ts";
export type { MessageOf, ReceivedMessage, ReplyOptions } from "./received-message.ts";
export type { Answered, RequestOptions } from "./request.ts";
export type { CancelOptions, RunHandle, RunResult } from "./run.ts";
export type { Schema } from "./schema.ts";
export type { Connection } from "./socket.ts";
export type { StateCalls, StateGetOptions, StateUpdateOptions, TypedEntry } from "./state.ts";
