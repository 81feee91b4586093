/**
 * Connections to one Redis, opened by name and closed together.
 *
 * A connection is `connecting → ready`, and back to connecting whenever it is lost, for ever and with a growing pause.
 * What a call meets meanwhile depends on the purpose. `commands` and `subscriber`: it fails within about three seconds,
 * is never sent later than it failed, and what was on its way when the connection broke is not sent twice (a script may
 * have run, which the error says). `queue`: it waits, as BullMQ wants it.
 */
import type { Command, RedisOptions } from "ioredis";
import { Redis } from "ioredis";
import type { Logger } from "../logger.ts";
import { recogniseStoreError } from "./store-error.ts";
import type { AddressOptions } from "./store-url.ts";

export type Purpose = "commands" | "subscriber" | "queue";

const callTimeoutMs = 3_000;
/**
 * A connection that owes an answer for this long is given up for a new one. Its other side may be gone without a word (a
 * failover, a router that forgot it), which TCP itself notices after a quarter of an hour.
 */
const silentMs = 10_000;
/** For the other side to close as well. ioredis waits for it even where the connection is gone already. */
const farewellMs = 100;
const firstPauseMs = 50;
const longestPauseMs = 1_000;

const optionsFor = {
  // 0 retries: with more, ioredis repeats what was in flight, and an append that had arrived would be there twice.
  commands: { maxRetriesPerRequest: 0, commandTimeout: callTimeoutMs, socketTimeout: silentMs },
  subscriber: { maxRetriesPerRequest: 0, commandTimeout: callTimeoutMs, socketTimeout: silentMs },
  // BullMQ blocks on its connection for longer than any time limit.
  queue: { maxRetriesPerRequest: null },
} as const satisfies Record<Purpose, RedisOptions>;

export interface Connections {
  connect(name: string, purpose: Purpose): Redis;
  /** Breaks all connections; calls that are under way fail. */
  close(): void;
}

export function createConnections(address: AddressOptions, logger: Logger): Connections {
  const open = new Set<Redis>();
  return {
    connect(name, purpose) {
      const options = {
        ...address,
        ...optionsFor[purpose],
        connectionName: `ksi:${name}`,
        connectTimeout: callTimeoutMs,
        disconnectTimeout: farewellMs,
        retryStrategy: pauseMs,
      };
      const connection = purpose === "queue" ? new CorkedConnection(options) : new FailingConnection(options);
      open.add(connection);
      connection.once("end", () => open.delete(connection));
      logOutages(connection, name, logger);
      return connection;
    },
    close() {
      for (const connection of open) connection.disconnect();
    },
  };
}

/** What one turn of the event loop sends is one write to the socket: a system call each costs more than the command. */
class CorkedConnection extends Redis {
  override sendCommand(command: Command, stream?: Parameters<Redis["sendCommand"]>[1]): unknown {
    const socket = this.stream;
    if (socket && !socket.writableCorked) {
      socket.cork();
      setImmediate(() => socket.uncork());
    }
    return super.sendCommand(command, stream);
  }
}

/** Fails with a KsiError that says why the store is away; other errors (a wrong command) stay as ioredis made them. */
class FailingConnection extends CorkedConnection {
  override sendCommand(command: Command, stream?: Parameters<Redis["sendCommand"]>[1]): unknown {
    // ioredis keeps a call that timed out while offline, and would send it on the next connection: a write that the
    // caller was told had failed.
    if (command.isSettled) return command.promise;
    const { reject } = command;
    // Else it waits for a connection, and comes by here again when there is one.
    const isSent = this.status === "ready";
    command.reject = (error) => reject(recogniseStoreError(error, isSent) ?? error);
    return super.sendCommand(command, stream);
  }
}

function pauseMs(attempt: number): number {
  const pause = Math.min(firstPauseMs * 2 ** Math.min(attempt - 1, 10), longestPauseMs);
  // Jitter, so that many processes do not come back at the same moment.
  return pause + Math.random() * firstPauseMs;
}

/**
 * One line when the connection is lost and one when it is back, however often it was tried in between. Before the first
 * contact there is nothing to lose: whoever opened the store is told why there is none.
 */
function logOutages(connection: Redis, name: string, logger: Logger): void {
  let wasThere = false;
  let isAway = false;
  connection.on("error", (error: Error) => {
    if (isAway || !wasThere) return;
    isAway = true;
    const reason = recogniseStoreError(error)?.message ?? error.message;
    logger.warn({ connection: name, err: error }, `Redis is away: ${reason} Trying again.`);
  });
  connection.on("ready", () => {
    if (isAway) logger.info({ connection: name }, "Redis is back.");
    wasThere = true;
    isAway = false;
  });
}
