/** A client of the running daemon, or one clear sentence on why there is none. */
import type { Connection, KsiClient } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";
import type { Cli, ConnectionOptions } from "./cli.ts";
import { type DaemonAddress, findDaemon, startAdvice } from "./find-daemon.ts";

export interface Link extends AsyncDisposable {
  readonly ksi: KsiClient;
  readonly address: DaemonAddress;
}

export interface ConnectOptions {
  /** Told whenever the WebSocket opens, closes, or cannot be opened. */
  onConnection?: (connection: Connection) => void;
}

const answerDeadlineMs = 5_000;

/**
 * Finds the daemon and asks whether it lives before the token is shown to anybody. `CONNECTION_LOST` says where it
 * looked and how to start one.
 */
export async function connect(
  options: ConnectionOptions,
  cli: Cli,
  { onConnection }: ConnectOptions = {},
): Promise<Link> {
  const address = await findDaemon(options, cli);
  const [{ createKsiClient }] = await Promise.all([import("@ksi/client"), checkAnswers(address)]);
  const { url, token } = address;
  const ksi = createKsiClient({ url, token, onConnection });
  return { ksi, address, [Symbol.asyncDispose]: () => ksi.close() };
}

async function checkAnswers(address: DaemonAddress): Promise<void> {
  const response = await fetch(`${address.url}/health`, { signal: AbortSignal.timeout(answerDeadlineMs) }).catch(
    (cause: unknown) => {
      throw new KsiError("CONNECTION_LOST", nobodyAnswers(address), { cause });
    },
  );
  // A daemon whose Redis is away says so with 503; it is a daemon all the same.
  const health: unknown = await response.json().catch(() => undefined);
  if (typeof health === "object" && health !== null && "version" in health && "status" in health) return;
  throw new KsiError("CONNECTION_LOST", `What answers at ${address.url} (from ${address.source}) is no KSI daemon.`);
}

function nobodyAnswers({ url, source }: DaemonAddress): string {
  if (source === "--url" || source === "KSI_URL") {
    return `No KSI daemon answers at ${url} (from ${source}). See whether it runs there; ${lowerFirst(startAdvice)}`;
  }
  return `No KSI daemon runs on the data directory ${source}: its last address, ${url}, does not answer. ${startAdvice}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
