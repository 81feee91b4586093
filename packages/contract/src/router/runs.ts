import { z } from "zod";
import { follow } from "../schemas/common.ts";
import {
  cancelInput,
  cancelOutput,
  resultInput,
  run,
  runRef,
  runsListInput,
  runsPage,
  spawnAccepted,
  spawnInput,
} from "../schemas/runs.ts";
import { procedure, router, subscription } from "../trpc.ts";

const tags = ["runs"];

export const runsRouter = router({
  spawn: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/spawn",
        summary: "Accept a run",
        description:
          "Durable once it is answered. Runs of one session are executed in the order accepted, never two at once. " +
          "A repeat with the same `idempotency_key` within a day is answered with the first run; with another body " +
          "it is 409 (it is a field of the body; no header is read for it). A `cwd` outside of the server's roots is 403.",
        tags,
        errorResponses: [409],
      },
    })
    .input(spawnInput)
    .output(spawnAccepted)
    .mutation(({ ctx, input }) => ctx.ports.runs.spawn(input)),

  get: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/runs/{run_id}",
        summary: "One run",
        tags,
        errorResponses: [404],
      },
    })
    .input(runRef)
    .output(run)
    .query(({ ctx, input }) => ctx.ports.runs.get(input.run_id)),

  list: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/runs", summary: "Runs, newest first", tags } })
    .input(runsListInput)
    .output(runsPage)
    .query(({ ctx, input }) => ctx.ports.runs.list(input)),

  result: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/runs/{run_id}/result",
        summary: "Wait for a run to end",
        description:
          "Answers with the run as soon as it is final or `wait_ms` is over, whichever is first. Look at `status`, " +
          "and ask again until it is final.",
        tags,
        errorResponses: [404],
      },
    })
    .input(resultInput)
    .output(run)
    .query(({ ctx, input, signal }) => ctx.ports.runs.result(input, signal)),

  cancel: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/runs/{run_id}/cancel",
        summary: "Cancel a run",
        description:
          "A queued run never starts; a running agent and all that it has started are ended. Safe to repeat: a run " +
          "that is final stays as it is, and `cancelled` is then false.",
        tags,
        errorResponses: [404],
      },
    })
    .input(cancelInput)
    .output(cancelOutput)
    .mutation(({ ctx, input }) => ctx.ports.runs.cancel(input)),

  events: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/runs/{run_id}/events",
        summary: "Follow a run",
        description:
          "From the oldest event unless told otherwise, and to the final event of the run, after which the stream " +
          "ends. 412 where the events after the given one are no longer kept.",
        tags,
        errorResponses: [404, 412],
      },
    })
    .input(z.object({ ...runRef.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { run_id, ...from }, signal }) =>
      subscription(await ctx.ports.runs.events(run_id, from, signal)),
    ),
});
