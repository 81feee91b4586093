export * from "./errors.ts";
export * from "./events.ts";
export * from "./limits.ts";
export type * from "./ports.ts";
export { type AppRouter, appRouter } from "./router/index.ts";
export * from "./run-state.ts";
export type * from "./schemas/index.ts";
export * as schemas from "./schemas/index.ts";
export { type Context, invalidInput, type OpenApiMeta, toWireError, trpcCodes, unauthorized } from "./trpc.ts";
