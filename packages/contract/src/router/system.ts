import { health, shutdownOutput, systemStatus } from "../schemas/system.ts";
import { procedure, publicProcedure, router } from "../trpc.ts";

const tags = ["system"];

export const systemRouter = router({
  status: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/status", summary: "What the daemon is doing", tags } })
    .output(systemStatus)
    .query(({ ctx }) => ctx.ports.system.status()),

  /** Also served as `GET /health`; needs no token. */
  health: publicProcedure.output(health).query(({ ctx }) => ctx.health()),

  shutdown: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/shutdown",
        summary: "Drain and stop",
        description: "Answers first. New runs are refused from then on.",
        tags,
      },
    })
    .output(shutdownOutput)
    .mutation(({ ctx }) => ctx.ports.system.shutdown()),
});
