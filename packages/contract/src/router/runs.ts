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
    .meta({ openapi: { method: "POST", path: "/api/v1/spawn", summary: "Accept a run", tags } })
    .input(spawnInput)
    .output(spawnAccepted)
    .mutation(({ ctx, input }) => ctx.ports.runs.spawn(input)),

  get: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/runs/{run_id}", summary: "One run", tags } })
    .input(runRef)
    .output(run)
    .query(({ ctx, input }) => ctx.ports.runs.get(input.run_id)),

  list: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/runs", summary: "Runs, newest first", tags } })
    .input(runsListInput)
    .output(runsPage)
    .query(({ ctx, input }) => ctx.ports.runs.list(input)),

  result: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/runs/{run_id}/result", summary: "Wait for a run to end", tags } })
    .input(resultInput)
    .output(run)
    .query(({ ctx, input, signal }) => ctx.ports.runs.result(input, signal)),

  cancel: procedure
    .meta({ openapi: { method: "POST", path: "/api/v1/runs/{run_id}/cancel", summary: "Cancel a run", tags } })
    .input(cancelInput)
    .output(cancelOutput)
    .mutation(({ ctx, input }) => ctx.ports.runs.cancel(input)),

  events: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/runs/{run_id}/events", summary: "Follow a run", tags } })
    .input(z.object({ ...runRef.shape, ...follow.shape }))
    .subscription(async ({ ctx, input: { run_id, ...from }, signal }) =>
      subscription(await ctx.ports.runs.events(run_id, from, signal)),
    ),
});
