import { createKsiClient, type KsiClient } from "@ksi/client";
import { createTempFolder, type DaemonProcess, type DaemonProcessOptions, startDaemonProcess } from "@ksi/testing";

export interface LiveDaemon extends AsyncDisposable {
  readonly daemon: DaemonProcess;
  readonly dataDir: string;
  readonly ksi: KsiClient;
}

/** A daemon of its own with a client, on a new data folder; `claude` is not to be found unless `env` says where. */
export async function startLiveDaemon(options: Partial<DaemonProcessOptions> = {}): Promise<LiveDaemon> {
  await using stack = new AsyncDisposableStack();
  const dataDir = options.dataDir ?? stack.use(await createTempFolder()).path;
  const env = { KSI_CLAUDE_BIN: "/nowhere/claude", ...options.env };
  const daemon = stack.use(await startDaemonProcess({ ...options, dataDir, env }));
  const ksi = stack.use(createKsiClient(daemon));
  const owned = stack.move();
  return { daemon, dataDir, ksi, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
