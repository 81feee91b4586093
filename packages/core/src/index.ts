export { type Core, type CoreOptions, startCore } from "./core.ts";
export type { Logger } from "./logger.ts";
export { type Reaper, type ReaperOptions, startReaper } from "./reaper.ts";
export { type Store, type StoreInfo, type StoreOptions, startStore } from "./redis/store.ts";
export type { History } from "./run-services.ts";
export { type ClaudeRunnerOptions, createClaudeRunner } from "./runners/claude.ts";
export { createEchoRunner, type EchoScript } from "./runners/echo.ts";
export type { Runner, RunningTurn, Turn, TurnContext, TurnEvent, TurnOutcome } from "./runners/runner.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
