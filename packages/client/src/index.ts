/** The typed KSI client for Node and browsers. Start at `createKsiClient`. */
export type {
  Agent,
  AgentEvent,
  CustomEvent,
  EventFilter,
  Health,
  Image,
  Json,
  JsonObject,
  KsiEvent,
  Message,
  PublishInput,
  RegisterRequest,
  Run,
  RunEvent,
  RunStatus,
  SendInput,
  Session,
  SessionEvent,
  SpawnRequest,
  SystemStatus,
  Usage,
} from "@ksi/contract";
export { type ErrorCode, type ErrorDetails, isErrorCode, KsiError, type RunErrorCode } from "@ksi/contract/errors";
export type { AttachOptions, KsiClient, KsiClientOptions, RunRequest } from "./api.ts";
export type { CallOptions } from "./call.ts";
export { createKsiClient } from "./client.ts";
export type { EventStream, FollowOptions, Gap } from "./event-stream.ts";
export type { OutputSchema } from "./output-schema.ts";
export type { CancelOptions, RunHandle, RunResult } from "./run.ts";
export type { Connection } from "./socket.ts";
