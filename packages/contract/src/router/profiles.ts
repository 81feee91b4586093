import { profile, profileRef, profilesList } from "../schemas/profiles.ts";
import { procedure, router } from "../trpc.ts";

const tags = ["profiles"];

export const profilesRouter = router({
  list: procedure
    .meta({ openapi: { method: "GET", path: "/api/v1/profiles", summary: "Profiles for runs and agents", tags } })
    .output(profilesList)
    .query(({ ctx }) => ctx.ports.profiles.list()),

  get: procedure
    .meta({
      openapi: { method: "GET", path: "/api/v1/profiles/{name}", summary: "One profile", tags, errorResponses: [404] },
    })
    .input(profileRef)
    .output(profile)
    .query(({ ctx, input }) => ctx.ports.profiles.get(input.name)),
});
