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
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/sessions/{session_id}",
        summary: "One session",
        tags,
        errorResponses: [404],
      },
    })
    .input(sessionRef)
    .output(session)
    .query(({ ctx, input }) => ctx.ports.sessions.get(input.session_id)),

  messages: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/sessions/{session_id}/messages",
        summary: "What was said",
        description: "Both sides of each turn, oldest first.",
        tags,
        errorResponses: [404],
      },
    })
    .input(sessionMessagesInput)
    .output(sessionMessages)
    .query(({ ctx, input }) => ctx.ports.sessions.messages(input)),

  delete: procedure
    .meta({
      openapi: {
        method: "DELETE",
        path: "/api/v1/sessions/{session_id}",
        summary: "Forget a session",
        description: "Removes the session and its runs. 409 while one of them is queued or running.",
        tags,
        errorResponses: [404, 409],
      },
    })
    .input(sessionRef)
    .output(sessionDeleted)
    .mutation(({ ctx, input }) => ctx.ports.sessions.delete(input.session_id)),
});
