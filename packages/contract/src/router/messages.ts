import { z } from "zod";
import { agentRef } from "../schemas/agents.ts";
import { follow } from "../schemas/common.ts";
import { historyInput, messagesPage, sendInput, sent } from "../schemas/messages.ts";
import { procedure, router, subscription } from "../trpc.ts";

const tags = ["messages"];

export const messagesRouter = router({
  send: procedure
    .meta({ openapi: { method: "POST", path: "/api/v1/messages", summary: "Send a message", tags } })
    .input(sendInput)
    .output(sent)
    .mutation(({ ctx, input }) => ctx.ports.messages.send(input)),

  history: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/messages", summary: "Messages, oldest first", tags } })
    .input(historyInput)
    .output(messagesPage)
    .query(({ ctx, input }) => ctx.ports.messages.history(input)),

  inbox: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/agents/{agent_id}/inbox", summary: "Follow an inbox", tags } })
    .input(z.object({ ...agentRef.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { agent_id, ...from }, signal }) =>
      subscription(await ctx.ports.messages.inbox(agent_id, from, signal)),
    ),
});
