/** Every schema of the wire, as zod values; their types are exported beside them. */
export * from "./agents.ts";
export * from "./common.ts";
export * from "./messages.ts";
export * from "./profiles.ts";
export * from "./runs.ts";
export * from "./sessions.ts";
export * from "./state.ts";
export * from "./system.ts";
