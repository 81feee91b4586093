/** Core's public log by its port of events, as every door and worker has it. */
import type { EventsPort } from "@ksi/contract";
import { startCore, startStore } from "@ksi/core";
import { silent } from "./bench-redis.ts";

export interface OpenCore extends AsyncDisposable {
  readonly events: EventsPort;
}

/** The daemon's default. */
const defaultMaxEvents = 100_000;

/** On a Redis by its Unix socket, with a connection of its own. */
export async function openCore(path: string, maxEvents = defaultMaxEvents): Promise<OpenCore> {
  const store = await startStore({ url: `unix://${path}`, logger: silent });
  const core = await startCore({
    store,
    logger: silent,
    defaultModel: "echo",
    runners: [],
    roots: ["/"],
    runTimeoutMs: 60_000,
    history: { maxEvents, maxAgeMs: 30 * 24 * 3_600_000 },
    version: "0.0.0",
    onShutdown: () => undefined,
  });
  return {
    events: core.ports().events,
    [Symbol.asyncDispose]: async () => {
      await core.close();
      await store.close();
    },
  };
}
