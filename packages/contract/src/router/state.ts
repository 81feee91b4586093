import {
  stateDeleted,
  stateDeleteInput,
  stateEntry,
  stateListInput,
  statePage,
  stateRef,
  stateSet,
  stateSetInput,
} from "../schemas/state.ts";
import { procedure, router } from "../trpc.ts";

const tags = ["state"];
const path = "/api/v1/state/{namespace}/{key}";

export const stateRouter = router({
  get: procedure
    .meta({ openapi: { method: "GET", path, summary: "One value", tags, errorResponses: [404] } })
    .input(stateRef)
    .output(stateEntry)
    .query(({ ctx, input }) => ctx.ports.state.get(input)),

  set: procedure
    .meta({
      openapi: {
        method: "PUT",
        path,
        summary: "Set a value",
        description: "With `if_version` only if the key has that version, else 409 with the version that it has.",
        tags,
        errorResponses: [409],
      },
    })
    .input(stateSetInput)
    .output(stateSet)
    .mutation(({ ctx, input }) => ctx.ports.state.set(input)),

  delete: procedure
    .meta({
      openapi: {
        method: "DELETE",
        path,
        summary: "Forget a value",
        description: "With `if_version` only if the key has that version, else 409 with the version that it has.",
        tags,
        errorResponses: [404, 409],
      },
    })
    .input(stateDeleteInput)
    .output(stateDeleted)
    .mutation(({ ctx, input }) => ctx.ports.state.delete(input)),

  list: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/state/{namespace}",
        summary: "Keys of a namespace",
        description: "In order, without their values. A namespace that nobody has used is empty.",
        tags,
      },
    })
    .input(stateListInput)
    .output(statePage)
    .query(({ ctx, input }) => ctx.ports.state.list(input)),
});
