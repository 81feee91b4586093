import { z } from "zod";
import { runStatuses } from "../run-state.ts";
import { page, runId, sessionId, timestamp } from "./common.ts";

export const session = z.object({
  session_id: sessionId,
  created_at: timestamp,
  /** When a run was last accepted into it. */
  updated_at: timestamp,
  run_count: z.number().int(),
  last_run_id: runId,
  last_status: z.enum(runStatuses),
});

export const sessionRef = z.object({ session_id: sessionId });
/** Most recently used first. */
export const sessionsPage = z.object({ sessions: z.array(session), next: z.string().optional() });

/** One side of a turn. A run that gave no result has only its human side. */
export const turn = z.object({
  run_id: runId,
  role: z.enum(["human", "agent"]),
  content: z.string(),
  timestamp,
});
export const sessionMessagesInput = page.extend({ session_id: sessionId });
/** Oldest first. */
export const sessionMessages = z.object({ messages: z.array(turn), next: z.string().optional() });
export const sessionDeleted = z.object({ status: z.literal("deleted"), session_id: sessionId });

export type Session = z.infer<typeof session>;
export type SessionsPage = z.infer<typeof sessionsPage>;
export type Turn = z.infer<typeof turn>;
export type SessionMessagesInput = z.infer<typeof sessionMessagesInput>;
export type SessionMessages = z.infer<typeof sessionMessages>;
export type SessionDeleted = z.infer<typeof sessionDeleted>;
export type PageInput = z.infer<typeof page>;
