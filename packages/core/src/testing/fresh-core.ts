import type { Ports } from "@ksi/contract";
import { createTempFolder } from "@ksi/testing";
import { type Core, startCore } from "../core.ts";
import type { Logger } from "../logger.ts";
import type { ProfilesOptions } from "../profiles.ts";
import type { Store } from "../redis/store.ts";
import { createEchoRunner } from "../runners/echo.ts";
import type { Runner } from "../runners/runner.ts";
import { startWorker, type Worker, type WorkerOptions } from "../worker.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./fresh-redis.ts";
import { testHistory } from "./test-history.ts";

export interface FreshCore extends AsyncDisposable {
  readonly redis: FreshRedis;
  readonly store: Store;
  readonly core: Core;
  readonly ports: Ports;
  /** The one root of its runs. */
  readonly folder: string;
  readonly logDir: string;
  /** Closed with the rest, unless it was before. */
  startWorker(options?: Partial<WorkerOptions>): Promise<Worker>;
}

export interface FreshCoreOptions {
  readonly runners?: readonly Runner[];
  readonly logger?: Logger;
  readonly history?: { maxEvents: number; maxAgeMs: number };
  readonly profiles?: ProfilesOptions;
}

/** A core on an empty Redis, without a worker; `echo` is served besides the given runners. */
export async function startFreshCore(options: FreshCoreOptions = {}): Promise<FreshCore> {
  const { logger = silentLogger, history = testHistory } = options;
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await createTempFolder("ksi-core-"));
  const redis = parts.use(await startFreshRedis());
  const { store } = redis;
  const runners = [...(options.runners ?? []), createEchoRunner()];
  const core = parts.use(
    await startCore({
      store,
      logger,
      defaultModel: "echo",
      runners,
      roots: [folder.path],
      runTimeoutMs: 60_000,
      history,
      profiles: options.profiles,
      version: "0.0.0-test",
      onShutdown: () => undefined,
    }),
  );
  const logDir = `${folder.path}/logs`;
  const common = { store, logger, runners, concurrency: 4, tools: [], roots: [folder.path], logDir, history };
  const lives = parts.move();
  return {
    redis,
    store,
    core,
    ports: core.ports(),
    folder: folder.path,
    logDir,
    startWorker: async (more) => lives.use(await startWorker({ ...common, ...more })),
    [Symbol.asyncDispose]: () => lives.disposeAsync(),
  };
}

/** What the schema makes of a minimal spawn. */
export const spawnDefaults = { enable_tools: true, priority: 50 };
