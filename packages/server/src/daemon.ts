/**
 * The daemon's day: *starting* (the port first, so that one in use is told at once; its requests are answered 503),
 * *ready*, *draining* (no new runs, `/ready` is 503, what runs may finish until a deadline), *closed*. A shutdown call,
 * `close` and a Redis that died lead from ready to draining; nothing leads back.
 */
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import type { RunnerStatus } from "@ksi/contract";
import { type Closers, type Core, createClosers, startCore, type Worker } from "@ksi/core";
import type { Config } from "./config.ts";
import { refuseSecondDaemon, removeDaemonFile, writeDaemonFile } from "./daemon-file.ts";
import { prepareDataDir } from "./data-dir.ts";
import type { HttpDoorOptions } from "./doors.ts";
import { historyOf, messagingOf, startEngine } from "./engine.ts";
import { createHttpApp } from "./http.ts";
import { createLife } from "./life.ts";
import { type Listener, startListener } from "./listener.ts";
import { createLogger, type Logger } from "./logger.ts";
import { createRequestGuard } from "./request-guard.ts";
import { createTickets } from "./tickets.ts";
import { createTokenCheck, loadToken } from "./token.ts";
import { readVersion } from "./version.ts";
import { startWebSocketDoor } from "./websocket.ts";

export interface StartOptions {
  /** Default: one made from the configuration (pretty on a terminal, JSON lines otherwise). */
  logger?: Logger;
  /** Called once, as soon as calls are answered. */
  onReady?: (daemon: Daemon) => void;
}

export interface Daemon extends AsyncDisposable {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string;
  /** The file that holds the token; absent where `KSI_TOKEN` takes its place. */
  readonly tokenPath: string | undefined;
  /** What was found at start. */
  readonly runners: readonly RunnerStatus[];
  readonly defaultModel: string;
  readonly redis: { readonly mode: "embedded" | "external" };
  /**
   * Takes no new work, lets what runs finish until the deadline (default: `drain_timeout_ms`), tells clients to
   * reconnect, closes the doors and Redis. Safe to repeat; resolves when nothing of the daemon is left.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
  /** For a second Ctrl-C, right before `process.exit`: agents and Redis end when this process has. */
  kill(): void;
  /** Resolves after `close` or a `system.shutdown`; rejects with the reason when the daemon stopped on its own. */
  readonly closed: Promise<void>;
}

/** Calls in one tRPC batch over HTTP. */
const maxBatchSize = 50;

/**
 * Resolves when calls are answered, with everything started and closed by the one daemon.
 *
 * `CONFLICT` for a port in use and for a data directory that another daemon uses; `INVALID_INPUT` for a data directory
 * that cannot be written; `STORE_UNAVAILABLE` for a Redis that cannot be started or reached. What was started until
 * then is closed again.
 */
export async function startDaemon(config: Config, options: StartOptions = {}): Promise<Daemon> {
  const logger = options.logger ?? (await createLogger({ level: config.log_level }));
  const closers = createClosers(logger);
  try {
    const daemon = await start(config, { logger, closers });
    options.onReady?.(daemon);
    return daemon;
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

async function start(config: Config, { logger, closers }: { logger: Logger; closers: Closers }): Promise<Daemon> {
  const version = readVersion();
  await refuseSecondDaemon(config.data_dir);
  const { host, port } = config;
  const listener = closers.add(await startListener({ host, port, logger }), (started) => started.close());
  await prepareDataDir(config.data_dir, logger);
  const { token, path: tokenPath } = config.token ? { token: config.token } : await loadToken(config.data_dir, logger);

  let core: Core | undefined;
  let worker: Worker | undefined;
  let isDraining = false;
  const life = createLife(async (deadlineMs) => {
    isDraining = true;
    logger.info({ deadline_ms: deadlineMs }, "stopping");
    core?.drain();
    await worker?.drain(deadlineMs).catch((error) => logger.error({ err: error }, "draining failed"));
    await core?.settle();
    await closers.closeAll();
    logger.info({}, "stopped");
  });
  const close = ({ deadlineMs = config.drain_timeout_ms } = {}) => life.end(deadlineMs);

  let storeExit: Error | undefined;
  const onStoreExit = (error: Error) => {
    storeExit = error;
    void life.end(0, error);
  };
  const engine = await startEngine({ config, logger, closers, onStoreExit });
  core = await startCore({
    store: engine.store,
    logger,
    defaultModel: engine.defaultModel,
    runners: engine.runners,
    roots: config.roots,
    runTimeoutMs: config.run_timeout_ms,
    history: historyOf(config),
    messaging: messagingOf(config),
    profiles: { dir: join(config.data_dir, "profiles"), configured: config.profiles },
    version,
    onShutdown: () => void close(),
  });
  const { health, ports } = closers.add(core, (started) => started.close());
  if (config.worker) worker = await engine.startWorker();
  const closeDoors = openDoors(listener, {
    ports: ports(),
    health,
    guard: createRequestGuard(config),
    isToken: createTokenCheck(token),
    tickets: createTickets(),
    isDraining: () => isDraining,
    logger,
    maxBodyBytes: config.body_max_bytes,
    maxBatchSize,
    requestsPerMinute: config.requests_per_minute,
    waitMaxMs: config.wait_max_ms,
    debug: config.debug,
  });
  closers.add(closeDoors, () => closeDoors());
  await writeDaemonFile(config.data_dir, { url: listener.url, pid: process.pid, version });
  closers.add(config.data_dir, removeDaemonFile);
  // Redis may also have died before there was anybody to tell.
  if (storeExit) throw storeExit;
  logger.info({ url: listener.url, version, redis: engine.store.mode, default_model: engine.defaultModel }, "ready");

  return {
    url: listener.url,
    tokenPath,
    runners: engine.statuses,
    defaultModel: engine.defaultModel,
    redis: { mode: engine.store.mode },
    close,
    kill: () => removeDaemonFile(config.data_dir),
    closed: life.closed,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Gives how to close them: streams and sockets first, so that their clients know that it is on purpose. */
function openDoors(listener: Listener, options: Omit<HttpDoorOptions, "closing">): () => Promise<void> {
  const closing = new AbortController();
  listener.serve(getRequestListener(createHttpApp({ ...options, closing: closing.signal }).fetch));
  const webSocketDoor = startWebSocketDoor({ ...options, server: listener.server });
  return async () => {
    closing.abort();
    await webSocketDoor.close();
    await listener.close();
  };
}
