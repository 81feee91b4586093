/**
 * The Redis that everything else is kept in: an external one by URL, or the daemon's own.
 *
 * A store is open from `startStore` to `close`. In between Redis may come and go; calls on `commands` then fail with
 * `STORE_UNAVAILABLE` within about three seconds, and work again when it is back. Only an embedded Redis that ends is
 * final, and told by `onExit`.
 */
import { KsiError } from "@ksi/contract/errors";
import type { Redis } from "ioredis";
import type { Logger } from "../logger.ts";
import { type Connections, createConnections, type Purpose } from "./connections.ts";
import { type EmbeddedRedis, startEmbeddedRedis } from "./embedded.ts";
import { createKeys, type Keys } from "./keys.ts";
import { isPermanent, recogniseStoreError, toStoreError } from "./store-error.ts";
import { type AddressOptions, parseStoreUrl } from "./store-url.ts";
import { describeVersion, isSupported, oldestVersion } from "./version.ts";

export interface StoreOptions {
  readonly logger: Logger;
  /** An external Redis. Without it the embedded one is started. */
  readonly url?: string | undefined;
  /** The private folder of the embedded Redis, such as `~/.ksi/redis`. Needed when there is no `url`. */
  readonly dir?: string | undefined;
  /** The embedded Redis's executable. Without it one is looked for. */
  readonly binary?: string | undefined;
  /** Embedded only, default true: what was acknowledged is on the disk. False is for tests. */
  readonly isDurable?: boolean | undefined;
  /** Before every key. Default `ksi`. */
  readonly prefix?: string | undefined;
  /** The embedded Redis ended by itself; the store will not come back. */
  readonly onExit?: ((error: KsiError) => void) | undefined;
  /** How long the first connection may take. Default 3,000. */
  readonly connectTimeoutMs?: number | undefined;
}

export interface StoreInfo {
  version: string;
  used_memory_bytes: number;
  connected_clients: number;
}

export interface Store extends AsyncDisposable {
  readonly mode: "embedded" | "external";
  readonly keys: Keys;
  /**
   * Whether Redis, when it restarts or fails over, may come back without writes that it acknowledged. False for one that
   * writes each to the disk first (`appendfsync always`) and has no replica that could take its place: the embedded one,
   * and an external one that says so.
   */
  readonly mayLoseTail: boolean;
  /** Aborted when the embedded Redis has ended by itself: nothing can be read or written any more. */
  readonly exited: AbortSignal;
  /**
   * For calls that answer at once (no blocking commands). They fail with `STORE_UNAVAILABLE` when Redis is away, out of
   * memory or read-only; a call that was under way when the connection broke may or may not have been carried out.
   */
  readonly commands: Redis;
  /**
   * One more connection, closed with the store. `commands` and `subscriber` fail as above (a subscriber subscribes
   * again by itself when Redis is back); `queue` waits for ever, as BullMQ asks. `name` shows in `CLIENT LIST`.
   */
  connect(name: string, purpose: Purpose): Redis;
  info(): Promise<StoreInfo>;
  /** Closes every connection, then ends the embedded Redis. Safe to repeat. */
  close(): Promise<void>;
}

const defaultConnectTimeoutMs = 3_000;

/**
 * Resolves when Redis answers and is new enough. Rejects with `STORE_UNAVAILABLE` and the reason where it cannot be
 * reached, refuses us, is older than 7.0 or cannot be started; with `CONFLICT` when another daemon uses `dir`; with
 * `INVALID_INPUT` for a URL that cannot be read.
 */
export async function startStore(options: StoreOptions): Promise<Store> {
  const keys = createKeys(options.prefix);
  const exit = new AbortController();
  if (options.url !== undefined) {
    const { options: address, description } = parseStoreUrl(options.url);
    return await open({ ...options, keys, exited: exit.signal, address, description });
  }
  if (options.dir === undefined) throw new KsiError("INVALID_INPUT", "A store needs a url or a dir.");
  const onExit = (error: KsiError) => {
    exit.abort(error);
    options.onExit?.(error);
  };
  const embedded = await startEmbeddedRedis({ ...options, dir: options.dir, onExit });
  try {
    return await open({
      ...options,
      keys,
      exited: exit.signal,
      embedded,
      address: { path: embedded.socketPath },
      description: embedded.socketPath,
    });
  } catch (error) {
    await embedded.close();
    throw error;
  }
}

interface Opening extends StoreOptions {
  readonly keys: Keys;
  readonly exited: AbortSignal;
  readonly address: AddressOptions;
  readonly description: string;
  readonly embedded?: EmbeddedRedis;
}

async function open(opening: Opening): Promise<Store> {
  const { keys, exited, address, embedded, logger } = opening;
  const connections = createConnections(address, logger);
  const commands = connections.connect("commands", "commands");
  try {
    await firstContact(commands, opening);
    await checkVersion(commands, opening.description);
  } catch (error) {
    connections.close();
    throw error;
  }
  const mayLoseTail = !embedded && !(await isDurable(commands));
  const close = () => closeStore(connections, embedded);
  let closed: Promise<void> | undefined;
  const store: Store = {
    mode: embedded ? "embedded" : "external",
    keys,
    mayLoseTail,
    exited,
    commands,
    connect: (name, purpose) => connections.connect(name, purpose),
    info: () => readInfo(commands),
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}

async function closeStore(connections: Connections, embedded: EmbeddedRedis | undefined): Promise<void> {
  connections.close();
  await embedded?.close();
}

/** Waits for a Redis that is just starting, but not for one that refuses us. */
async function firstContact(connection: Redis, opening: Opening): Promise<void> {
  const timeoutMs = opening.connectTimeoutMs ?? defaultConnectTimeoutMs;
  if (connection.status === "ready") return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let lastError: Error | undefined;
  const onError = (error: Error) => {
    lastError = error;
    if (isPermanent(error)) reject(error);
  };
  const timer = setTimeout(() => reject(lastError ?? new Error("Command timed out")), timeoutMs);
  connection.on("error", onError).once("ready", resolve);
  try {
    await promise;
  } catch (error) {
    throw unreachable(opening.description, error);
  } finally {
    clearTimeout(timer);
    connection.off("error", onError).off("ready", resolve);
  }
}

function unreachable(description: string, cause: unknown): KsiError {
  const reason = recogniseStoreError(cause)?.message ?? (cause instanceof Error ? cause.message : String(cause));
  return new KsiError("STORE_UNAVAILABLE", `KSI cannot use the Redis at ${description}. ${reason}`, { cause });
}

async function checkVersion(connection: Redis, description: string): Promise<void> {
  const { version } = await readInfo(connection);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (isSupported({ major, minor })) return;
  throw new KsiError(
    "STORE_UNAVAILABLE",
    `The Redis at ${description} is version ${describeVersion({ major, minor })}. KSI needs ${oldestVersion} or newer.`,
  );
}

/** Where Redis does not show us its settings, it is not. */
async function isDurable(connection: Redis): Promise<boolean> {
  try {
    const settings = (await connection.config("GET", "append*")) as string[];
    const setting = (name: string) => settings[settings.indexOf(name) + 1];
    const replication = await connection.info("replication");
    const isAlone = /^role:master\b/m.test(replication) && /^connected_slaves:0\b/m.test(replication);
    return isAlone && setting("appendonly") === "yes" && setting("appendfsync") === "always";
  } catch {
    return false;
  }
}

async function readInfo(connection: Redis): Promise<StoreInfo> {
  let text: string;
  try {
    text = await connection.info("server", "memory", "clients");
  } catch (error) {
    throw toStoreError(error);
  }
  const field = (name: string) => new RegExp(`^${name}:(.*)\\r?$`, "m").exec(text)?.[1]?.trim() ?? "";
  return {
    version: field("redis_version"),
    used_memory_bytes: Number(field("used_memory")),
    connected_clients: Number(field("connected_clients")),
  };
}
