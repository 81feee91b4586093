import {
  acked,
  ackInput,
  deadLettersInput,
  deadLettersPage,
  historyInput,
  inboxInput,
  messagesPage,
  nacked,
  nackInput,
  redriveInput,
  redriven,
  replied,
  requestInput,
  sendBatchInput,
  sendInput,
  sent,
  sentBatch,
} from "../schemas/messages.ts";
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
          "To the inbox of `target`, to that of one online agent with a `capability`, or without either to the inboxes " +
          "of all registered agents but the source. Not with both, which is 422, as too many `hops` are. 404 where the " +
          "target is not registered or nobody online has the capability, 429 where the inbox is full or the two agents " +
          "have sent each other too much. A repeat sends a second message, unless it has the same `idempotency_key`; " +
          "409 where that came with another body.",
        tags,
        errorResponses: [404, 409, 422, 429],
      },
    })
    .input(sendInput)
    .output(sent)
    .mutation(({ ctx, input }) => ctx.ports.messages.send(input)),

  sendBatch: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/messages/batch",
        summary: "Send many messages",
        description:
          "As many calls of `POST /api/v1/messages` in this order, with one answer each: 200 also where some, or all, were " +
          "refused.",
        tags,
      },
    })
    .input(sendBatchInput)
    .output(sentBatch)
    .mutation(({ ctx, input }) => ctx.ports.messages.sendBatch(input)),

  request: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/messages/request",
        summary: "Send a message and wait for the answer",
        description:
          "To one agent, by `target` or by `capability`. The answer is the first message with the same " +
          "`correlation_id` (a new one unless given) to `reply_to`, or else to the source, which need not be registered " +
          "for it. 408 where none came in time: the message stays sent. 502 where the answer is an `error`. 409 where another request waits with this " +
          "`correlation_id`. Otherwise refused as a message is.",
        tags,
        errorResponses: [404, 408, 409, 422, 429, 502],
      },
    })
    .input(requestInput)
    .output(replied)
    .mutation(({ ctx, input, signal }) => ctx.ports.messages.request(input, signal)),

  history: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/messages",
        summary: "Messages that were sent",
        description:
          "Direct ones and broadcasts that match every given field, oldest first unless `newest_first`. With a filter a page may be short, or empty, and still " +
          "have a `next`. 412 where what followed `after` is no longer kept.",
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
          "Begins with what nobody has acknowledged, in the order sent, and goes on with what comes. Acknowledge each " +
          "message when it is dealt with: until then it is given again to whoever comes next. With a cursor it goes on " +
          "there, and with `from` the inbox is only looked at. With `mode=shared` neither counts: what others leave may come " +
          "behind later messages. 412 where the messages after the cursor are no longer kept.",
        tags,
        errorResponses: [404, 412],
      },
    })
    .input(inboxInput)
    .subscription(async ({ ctx, input, signal }) => subscription(await ctx.ports.messages.inbox(input, signal))),

  ack: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/agents/{agent_id}/inbox/ack",
        summary: "Acknowledge messages",
        description: "They are not delivered again. Safe to repeat; ids that are not in the inbox are passed over.",
        tags,
        errorResponses: [404],
      },
    })
    .input(ackInput)
    .output(acked)
    .mutation(({ ctx, input }) => ctx.ports.messages.ack(input)),

  nack: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/agents/{agent_id}/inbox/nack",
        summary: "Give messages back to a shared inbox",
        description:
          "Who was given them with `mode=shared` could not deal with them: they go to whoever is next, at once or after " +
          "`delay_ms`. Safe to repeat; ids that no consumer holds are passed over.",
        tags,
        errorResponses: [404],
      },
    })
    .input(nackInput)
    .output(nacked)
    .mutation(({ ctx, input }) => ctx.ports.messages.nack(input)),

  deadLetters: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/agents/{agent_id}/inbox/dead",
        summary: "Messages that could not be delivered",
        description: "Oldest first, each with the reason. They can be put back into the inbox.",
        tags,
        errorResponses: [404],
      },
    })
    .input(deadLettersInput)
    .output(deadLettersPage)
    .query(({ ctx, input }) => ctx.ports.messages.deadLetters(input)),

  redrive: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/agents/{agent_id}/inbox/redrive",
        summary: "Put dead letters back into the inbox",
        description: "The oldest first, as many as fit. Safe to repeat.",
        tags,
        errorResponses: [404],
      },
    })
    .input(redriveInput)
    .output(redriven)
    .mutation(({ ctx, input }) => ctx.ports.messages.redrive(input)),
});
