/**
 * Core, put together: the ports of each tenant over one store.
 *
 * It is open from `startCore` to `close`; in between it may be draining, when it takes no new runs and nothing more that
 * comes in by Redis (ways-in.ts), and does all else.
 * It executes nothing itself: that is a worker's (`startWorker`), here or in any other process on the same Redis.
 */
import type { Health, Ports } from "@ksi/contract";
import { createAgents } from "./agents.ts";
import { createClosers } from "./closers.ts";
import { startEventLogs } from "./event-log.ts";
import { startHistoryTrim } from "./event-log-trim.ts";
import { createEvents } from "./events.ts";
import { startJanitor } from "./janitor.ts";
import type { Logger } from "./logger.ts";
import { type Messages, startMessages } from "./messages.ts";
import { defaultMessaging, type Messaging } from "./messaging.ts";
import { startPresence } from "./presence.ts";
import { createProfiles, type ProfilesOptions } from "./profiles.ts";
import type { Store } from "./redis/store.ts";
import { probeWrites } from "./redis/write-probe.ts";
import { type History, startRunServices } from "./run-services.ts";
import type { Runner } from "./runners/runner.ts";
import { createRuns } from "./runs.ts";
import { createSessions } from "./sessions.ts";
import { createState } from "./state.ts";
import { startStateSweep } from "./state-sweep.ts";
import { checkHealth, createSystem } from "./system.ts";
import { startWaysIn } from "./ways-in.ts";
import { settlesWithin } from "./within.ts";

export interface CoreOptions {
  /** Stays the caller's: close it after the core. */
  readonly store: Store;
  readonly logger: Logger;
  /** For runs that name none. */
  readonly defaultModel: string;
  /** What is served; a run for anything else is refused. */
  readonly runners: readonly Runner[];
  /** Folders inside which agents may work. The first is the default. */
  readonly roots: readonly string[];
  /** Time limit of runs that name none. */
  readonly runTimeoutMs: number;
  readonly history: History;
  /** Default: `defaultMessaging`. */
  readonly messaging?: Messaging | undefined;
  /** Beside those that ship. */
  readonly profiles?: ProfilesOptions | undefined;
  readonly version: string;
  /** Somebody asked for the daemon's end. */
  readonly onShutdown: () => void;
}

export interface Core extends AsyncDisposable {
  /** What a caller of this tenant may use; the same object each time. Default `default`. */
  ports(tenant?: string): Ports;
  /** Whether Redis answers and takes writes; never rejects, and takes a second at most. */
  health(): Promise<Health>;
  /** From now on `spawn` is refused with `SHUTTING_DOWN`, and the status says `draining`. */
  drain(): void;
  /**
   * Resolves when everything published before the call has been handed to its followers, so that those who follow a run
   * which ended a moment ago hear of it before a close. Never rejects, and takes a second at most.
   */
  settle(): Promise<void>;
  /** Ends every follow with `SHUTTING_DOWN`. Safe to repeat. */
  close(): Promise<void>;
}

const settleMs = 1_000;

/** `STORE_UNAVAILABLE` where Redis takes no writes: nothing has begun then that would warn of it. */
export async function startCore(options: CoreOptions): Promise<Core> {
  const { store, logger, history, version } = options;
  await probeWrites(store.commands);
  const startedAt = performance.now();
  const tenants = new Map<string, Ports>();
  const profiles = createProfiles(options.profiles);
  const closers = createClosers(logger);
  const logs = closers.add(startEventLogs({ store, maxEvents: history.maxEvents, signal: store.exited }));
  const messagesOf = new Map<string, Messages>();
  const beforeTrim = async (key: string, first: string) => {
    const inbox = store.keys.inboxOf(key);
    if (inbox) await messagesOf.get(inbox.tenant)?.expireBefore(inbox.agentId, first);
  };
  closers.add(startHistoryTrim({ store, maxAgeMs: history.maxAgeMs, beforeTrim, logger }));
  const draining = new AbortController();

  const health = () => checkHealth(store, version);
  const ports = (tenant = "default") => {
    const known = tenants.get(tenant);
    if (known) return known;
    const opened = openTenant(tenant);
    tenants.set(tenant, opened);
    return opened;
  };
  // Before anybody calls: what a crash left behind does not wait for the first caller.
  ports();
  const close = () => closers.closeAll();
  return {
    ports,
    health,
    drain() {
      draining.abort();
    },
    async settle() {
      const settling = logs
        .settle()
        .catch((error) => logger.debug({ err: error }, "Followers may lack the last events."));
      await settlesWithin(settling, settleMs);
    },
    close,
    [Symbol.asyncDispose]: close,
  };

  function openTenant(tenant: string): Ports {
    const log = logs.tenant(tenant);
    const services = closers.add(startRunServices({ store, logger, history, tenant }));
    const janitor = startJanitor({ redis: store.commands, maxAgeMs: history.maxAgeMs, logger, ...services });
    closers.add(janitor, (started) => started.stop());
    closers.add(startStateSweep({ store, log, tenant, logger }), (sweep) => sweep.stop());
    const messaging = options.messaging ?? defaultMessaging;
    const isDraining = () => draining.signal.aborted;
    const common = { ...options, messaging, ...services, log, tenant, startedAt, health, isDraining };
    const agents = createAgents({ ...common, profileCapabilities: profiles.capabilitiesOf });
    const presence = closers.add(startPresence({ ...common, ...messaging }));
    const messages = closers.add(startMessages({ ...common, agents, presence }));
    messagesOf.set(tenant, messages);
    const opened: Ports = {
      runs: createRuns({ ...common, profiles }),
      sessions: createSessions(common),
      agents,
      messages: messages.port,
      profiles,
      state: createState(common),
      events: createEvents(common),
      system: createSystem(common),
    };
    closers.add(startWaysIn({ store, keys: services.keys, ports: opened, logger, draining: draining.signal }));
    return opened;
  }
}
