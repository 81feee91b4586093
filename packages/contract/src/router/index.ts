import { router } from "../trpc.ts";
import { agentsRouter } from "./agents.ts";
import { eventsRouter } from "./events.ts";
import { messagesRouter } from "./messages.ts";
import { runsRouter } from "./runs.ts";
import { sessionsRouter } from "./sessions.ts";
import { systemRouter } from "./system.ts";

/** Every procedure of KSI. A procedure validates, then makes one call on a port. */
export const appRouter = router({
  runs: runsRouter,
  sessions: sessionsRouter,
  agents: agentsRouter,
  messages: messagesRouter,
  events: eventsRouter,
  system: systemRouter,
});

export type AppRouter = typeof appRouter;
