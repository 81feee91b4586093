/** What the daemon and a worker process have in common: Redis, the runners, and an end. */

import { join } from "node:path";
import type { RunnerStatus } from "@ksi/contract";
import {
  type Closers,
  createClaudeRunner,
  createEchoRunner,
  type Messaging,
  type Runner,
  type Store,
  startReaper,
  startStore,
  startWorker,
  type Worker,
} from "@ksi/core";
import type { Config } from "./config.ts";
import type { Logger } from "./logger.ts";

export interface Engine {
  readonly store: Store;
  readonly runners: readonly Runner[];
  /** What the runners said of themselves at start. */
  readonly statuses: readonly RunnerStatus[];
  /** `sonnet` where claude is found, else `echo`, unless configured. */
  readonly defaultModel: string;
  /** Executes runs until it is closed. */
  startWorker(): Promise<Worker>;
}

export interface EngineOptions {
  config: Config;
  logger: Logger;
  closers: Closers;
  /** The embedded Redis ended by itself. */
  onStoreExit: (error: Error) => void;
}

/** Everything started is in `closers`, also when it rejects. */
export async function startEngine({ config, logger, closers, onStoreExit }: EngineOptions): Promise<Engine> {
  const starting = startStore({
    logger,
    url: config.redis_url,
    dir: join(config.data_dir, "redis"),
    binary: config.redis_binary,
    prefix: config.redis_prefix,
    onExit: onStoreExit,
  });
  const store = closers.add(await starting, (started) => started.close());
  const reaper = closers.add(startReaper({ logger }), (started) => started.close());
  const { claude_bin: bin, pass_env: passEnv } = config;
  const runners = [createClaudeRunner({ bin, passEnv, env: process.env, reaper, logger }), createEchoRunner()];
  const statuses = await Promise.all(runners.map((runner) => runner.probe()));
  const hasClaude = statuses.some(({ name, available }) => name === "claude" && available);
  return {
    store,
    runners,
    statuses,
    defaultModel: config.default_model ?? (hasClaude ? "sonnet" : "echo"),
    startWorker: async () => {
      const worker = await startWorker({
        store,
        logger,
        runners,
        concurrency: config.max_concurrent_runs,
        tools: config.tools,
        roots: config.roots,
        logDir: join(config.data_dir, "logs"),
        history: historyOf(config),
      });
      return closers.add(worker, (started) => started.close());
    },
  };
}

export function messagingOf(config: Config): Messaging {
  return {
    agentOfflineAfterMs: config.agent_offline_after_ms,
    maxInboxMessages: config.inbox_max_messages,
    maxDeliveries: config.message_max_deliveries,
    ackTimeoutMs: config.message_ack_timeout_ms,
    maxHops: config.message_max_hops,
    maxMessagesPerMinute: config.messages_per_minute,
  };
}

export function historyOf(config: Config): { maxEvents: number; maxAgeMs: number } {
  return { maxEvents: config.history_max_events, maxAgeMs: config.history_max_age_ms };
}
