import { z } from "zod";
import { agentRef } from "../schemas/agents.ts";
import { follow } from "../schemas/common.ts";
import { historyInput, messagesPage, sendInput, sent } from "../schemas/messages.ts";
import { procedure, router, subscription } from "../trpc.ts";

const tags = ["messages"];

export const messagesRouter = router({
  send: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/messages",
        summary: "Send a message",
        description:
          "To the inbox of `target`, or without one to those of all registered agents but the source. 404 where the " +
          "target is not registered. A repeat sends a second message.",
        tags,
        errorResponses: [404],
      },
    })
    .input(sendInput)
    .output(sent)
    .mutation(({ ctx, input }) => ctx.ports.messages.send(input)),

  history: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/messages",
        summary: "Messages, oldest first",
        description:
          "Direct ones and broadcasts. With `agent_id` a page may be short, or empty, and still have a `next`. 412 " +
          "where what followed `after` is no longer kept.",
        tags,
        errorResponses: [412],
      },
    })
    .input(historyInput)
    .output(messagesPage)
    .query(({ ctx, input }) => ctx.ports.messages.history(input)),

  inbox: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/agents/{agent_id}/inbox",
        summary: "Follow an inbox",
        description:
          "From the oldest message kept unless told otherwise. 412 where the messages after the given one are no " +
          "longer kept.",
        tags,
        errorResponses: [404, 412],
      },
    })
    .input(z.object({ ...agentRef.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { agent_id, ...from }, signal }) =>
      subscription(await ctx.ports.messages.inbox(agent_id, from, signal)),
    ),
});
