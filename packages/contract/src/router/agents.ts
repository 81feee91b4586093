import {
  agent,
  agentRef,
  agentsListInput,
  agentsPage,
  heartbeat,
  registered,
  registerInput,
  unregistered,
} from "../schemas/agents.ts";
import { procedure, router } from "../trpc.ts";

const tags = ["agents"];

export const agentsRouter = router({
  register: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/agents/register",
        summary: "Register an agent",
        description: "Safe to repeat.",
        tags,
      },
    })
    .input(registerInput)
    .output(registered)
    .mutation(({ ctx, input }) => ctx.ports.agents.register(input)),

  unregister: procedure
    .meta({
      openapi: {
        method: "DELETE",
        path: "/api/v1/agents/{agent_id}",
        summary: "Forget an agent and its inbox",
        tags,
        errorResponses: [404],
      },
    })
    .input(agentRef)
    .output(unregistered)
    .mutation(({ ctx, input }) => ctx.ports.agents.unregister(input.agent_id)),

  get: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/agents/{agent_id}",
        summary: "One agent",
        tags,
        errorResponses: [404],
      },
    })
    .input(agentRef)
    .output(agent)
    .query(({ ctx, input }) => ctx.ports.agents.get(input.agent_id)),

  list: procedure
    .meta({
      openapi: {
        method: "GET",
        path: "/api/v1/agents",
        summary: "Registered agents",
        description: "An agent must match every given field.",
        tags,
      },
    })
    .input(agentsListInput)
    .output(agentsPage)
    .query(({ ctx, input }) => ctx.ports.agents.list(input)),

  heartbeat: procedure
    .meta({
      openapi: {
        method: "POST",
        path: "/api/v1/agents/{agent_id}/heartbeat",
        summary: "Say that an agent is there",
        description:
          "For agents that do not follow their inbox all the time. One that does is online without it. Safe to repeat.",
        tags,
        errorResponses: [404],
      },
    })
    .input(agentRef)
    .output(heartbeat)
    .mutation(({ ctx, input }) => ctx.ports.agents.heartbeat(input.agent_id)),
});
