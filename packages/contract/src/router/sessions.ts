import { page } from "../schemas/common.ts";
import {
  session,
  sessionDeleted,
  sessionMessages,
  sessionMessagesInput,
  sessionRef,
  sessionsPage,
} from "../schemas/sessions.ts";
import { procedure, router } from "../trpc.ts";

const tags = ["sessions"];

export const sessionsRouter = router({
  list: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/sessions", summary: "Sessions, most recently used first", tags } })
    .input(page)
    .output(sessionsPage)
    .query(({ ctx, input }) => ctx.ports.sessions.list(input)),

  get: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/sessions/{session_id}", summary: "One session", tags } })
    .input(sessionRef)
    .output(session)
    .query(({ ctx, input }) => ctx.ports.sessions.get(input.session_id)),

  messages: procedure
    .meta({
      openapi: { method: "GET", path: "/api/v1/sessions/{session_id}/messages", summary: "What was said", tags },
    })
    .input(sessionMessagesInput)
    .output(sessionMessages)
    .query(({ ctx, input }) => ctx.ports.sessions.messages(input)),

  delete: procedure
    .meta({ openapi: { method: "DELETE", path: "/api/v1/sessions/{session_id}", summary: "Forget a session", tags } })
    .input(sessionRef)
    .output(sessionDeleted)
    .mutation(({ ctx, input }) => ctx.ports.sessions.delete(input.session_id)),
});
