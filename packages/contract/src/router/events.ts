import { z } from "zod";
import { eventFilter, published, publishInput } from "../events.ts";
import { follow } from "../schemas/common.ts";
import { procedure, router, subscription } from "../trpc.ts";

const tags = ["events"];

export const eventsRouter = router({
  subscribe: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/events", summary: "Follow the firehose", tags } })
    .input(z.object({ ...eventFilter.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { lastEventId, from, ...filter }, signal }) =>
      subscription(await ctx.ports.events.subscribe(filter, { lastEventId, from }, signal)),
    ),

  publish: procedure
    .meta({ openapi: { method: "POST", path: "/api/v1/events", summary: "Publish an event", tags } })
    .input(publishInput)
    .output(published)
    .mutation(({ ctx, input }) => ctx.ports.events.publish(input)),
});
