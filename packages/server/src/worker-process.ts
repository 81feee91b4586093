/** A worker without doors, for `ksi worker`: executes runs for the daemons that share its Redis. */
import type { RunnerStatus } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import { createClosers, type Worker } from "@ksi/core";
import type { Config } from "./config.ts";
import { prepareDataDir } from "./data-dir.ts";
import { startEngine } from "./engine.ts";
import { createLife } from "./life.ts";
import { createLogger, type Logger } from "./logger.ts";

export interface WorkerProcess extends AsyncDisposable {
  readonly id: string;
  /** What was found at start. */
  readonly runners: readonly RunnerStatus[];
  /** Lets what runs finish until the deadline (default: `drain_timeout_ms`). Safe to repeat. */
  close(options?: { deadlineMs?: number }): Promise<void>;
  /** For a second Ctrl-C, right before `process.exit`: agents end when this process has. */
  kill(): void;
  /** Resolves after `close`. */
  readonly closed: Promise<void>;
}

/** Resolves when runs are taken. `INVALID_INPUT` without `redis_url`, `STORE_UNAVAILABLE` when Redis is away. */
export async function startWorkerProcess(config: Config, options: { logger?: Logger } = {}): Promise<WorkerProcess> {
  if (!config.redis_url) {
    throw new KsiError(
      "INVALID_INPUT",
      "A worker needs the Redis that its daemon uses: set KSI_REDIS_URL or --redis-url for both.",
    );
  }
  const logger = options.logger ?? (await createLogger({ level: config.log_level }));
  const closers = createClosers(logger);
  let worker: Worker;
  const life = createLife(async (deadlineMs) => {
    await worker.drain(deadlineMs).catch((error) => logger.error({ err: error }, "draining failed"));
    await closers.closeAll();
  });
  try {
    await prepareDataDir(config.data_dir, logger);
    const engine = await startEngine({ config, logger, closers, onStoreExit: (error) => void life.end(0, error) });
    worker = await engine.startWorker();
    const close = ({ deadlineMs = config.drain_timeout_ms } = {}) => life.end(deadlineMs);
    return {
      id: worker.id,
      runners: engine.statuses,
      close,
      kill: () => undefined,
      closed: life.closed,
      [Symbol.asyncDispose]: () => close(),
    };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}
