import { z } from "zod";
import { eventFilter, published, publishInput } from "../events.ts";
import { follow } from "../schemas/common.ts";
import { procedure, router, subscription } from "../trpc.ts";

const tags = ["events"];

export const eventsRouter = router({
  subscribe: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/events",
        summary: "Follow the firehose",
        description:
          "Every change of state and every message, but no text of runs; from now unless told otherwise. An event " +
          "must match every given field; `types` are names, or beginnings of names that end in `*`. 412 where the " +
          "events after the given one are no longer kept.",
        tags,
        errorResponses: [412],
      },
    })
    .input(z.object({ ...eventFilter.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { lastEventId, from, ...filter }, signal }) =>
      subscription(await ctx.ports.events.subscribe(filter, { lastEventId, from }, signal)),
    ),

  publish: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/events",
        summary: "Publish an event",
        description: "It goes to the firehose only. A repeat publishes a second event.",
        tags,
      },
    })
    .input(publishInput)
    .output(published)
    .mutation(({ ctx, input }) => ctx.ports.events.publish(input)),
});
