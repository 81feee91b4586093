/** What the daemon says about itself. */
import type { Health, RunnerStatus, SystemPort, SystemStatus } from "@ksi/contract";
import { KsiError } from "@ksi/contract/errors";
import type { TenantKeys } from "./redis/keys.ts";
import type { Store } from "./redis/store.ts";
import { probeWrites } from "./redis/write-probe.ts";
import type { RunIndex } from "./run-index.ts";
import { probeRunners } from "./runners/probe.ts";
import type { Runner } from "./runners/runner.ts";
import { settlesWithin } from "./within.ts";

export interface SystemOptions {
  readonly store: Store;
  readonly keys: TenantKeys;
  readonly index: RunIndex;
  readonly runners: readonly Runner[];
  readonly defaultModel: string;
  readonly version: string;
  /** Of `performance.now()`. */
  readonly startedAt: number;
  readonly isDraining: () => boolean;
  readonly health: () => Promise<Health>;
  /** Begins the end of the daemon, after this call has been answered. */
  readonly onShutdown: () => void;
}

export function createSystem(options: SystemOptions): SystemPort {
  const { store, keys, index, runners, defaultModel, version, startedAt } = options;
  return {
    async status() {
      const [statuses, agents, agents_online, active_processes, queued, info] = await Promise.all([
        probeRunners(runners),
        store.commands.zcard(keys.agents),
        store.commands.zcard(keys.onlineAgents),
        index.count("running"),
        index.count("queued"),
        store.info(),
      ]);
      return {
        status: options.isDraining() ? "draining" : judge(statuses),
        version,
        uptime_ms: Math.round(performance.now() - startedAt),
        default_model: defaultModel,
        runners: statuses,
        agents,
        agents_online,
        active_processes,
        queued,
        redis_info: { mode: store.mode, ...info },
      };
    },
    health: options.health,
    shutdown() {
      setImmediate(options.onShutdown);
      return Promise.resolve({ status: "shutting_down" });
    },
  };
}

/** Resolves, whether Redis answers and takes writes or not, within `deadlineMs`. Nothing is written. */
export async function checkHealth(store: Store, version: string, deadlineMs = 1_000): Promise<Health> {
  const sentAt = performance.now();
  const failure = probeWrites(store.commands).then(() => undefined, KsiError.from);
  if (!(await settlesWithin(failure, deadlineMs))) {
    return { status: "unavailable", reason: `Redis did not answer within ${deadlineMs} ms.`, version };
  }
  const error = await failure;
  if (error) return { status: "unavailable", reason: error.message, version };
  return { status: "ok", redis_ping_ms: Math.round((performance.now() - sentAt) * 1_000) / 1_000, version };
}

function judge(runners: readonly RunnerStatus[]): SystemStatus["status"] {
  return runners.some(({ available }) => available) ? "healthy" : "degraded";
}
