import { router } from "../trpc.ts";
import { agentsRouter } from "./agents.ts";
import { eventsRouter } from "./events.ts";
import { messagesRouter } from "./messages.ts";
import { profilesRouter } from "./profiles.ts";
import { runsRouter } from "./runs.ts";
import { sessionsRouter } from "./sessions.ts";
import { stateRouter } from "./state.ts";
import { systemRouter } from "./system.ts";

/** Every procedure of KSI. A procedure validates, then makes one call on a port. */
export const appRouter = router({
  runs: runsRouter,
  sessions: sessionsRouter,
  agents: agentsRouter,
  messages: messagesRouter,
  profiles: profilesRouter,
  state: stateRouter,
  events: eventsRouter,
  system: systemRouter,
});

export type AppRouter = typeof appRouter;
