/** A server without a worker, with a fault proxy on either side. */
import { type FaultProxy, type Faults, startDaemonProcess, startFaultProxy } from "@ksi/testing";

export interface Server extends AsyncDisposable {
  /** What followers connect to. */
  readonly url: string;
  readonly toClients: FaultProxy;
  readonly toRedis: FaultProxy;
  /** Connections that were cut by plan while a subscription was open on them. */
  readonly drops: number;
  /** From now on both ways fail. What is open now is cut once, since it was accepted without a plan; it is no drop. */
  breakWays(): void;
}

export interface ServerOptions {
  readonly folder: string;
  readonly redisUrl: string;
  readonly token: string;
  readonly seed: number;
}

/** The least is more than a handshake and the start of a subscription, and than an answer, so that each cut is a drop. */
const clientFaults: Faults = {
  cutAfterBytes: [2_000, 240_000],
  refused: 0.02,
  delayed: { share: 0.2, ms: [1, 20] },
  throttled: { share: 0.05, bytesPerSecond: [50_000, 500_000] },
  silent: { everyMs: [2_000, 20_000], forMs: [100, 2_000] },
};

const redisFaults: Faults = {
  cutAfterBytes: [1_000_000, 15_000_000],
  refused: 0.1,
  delayed: { share: 0.2, ms: [1, 3] },
  silent: { everyMs: [2_000, 20_000], forMs: [50, 1_500] },
};

export async function startServer({ folder, redisUrl, token, seed }: ServerOptions): Promise<Server> {
  await using stack = new AsyncDisposableStack();
  const toRedis = stack.use(await startFaultProxy({ target: redisUrl, seed: seed + 1 }));
  const env = { KSI_REDIS_URL: `redis://${toRedis.address}`, KSI_TOKEN: token, KSI_LOG_LEVEL: "error" };
  const dataDir = `${folder}/server-${seed}`;
  const daemon = stack.use(await startDaemonProcess({ dataDir, cwd: folder, env, args: ["--no-worker"] }));
  const toClients = stack.use(await startFaultProxy({ target: daemon.url, seed }));
  let before = 0;
  const owned = stack.move();
  return {
    url: `http://${toClients.address}`,
    toClients,
    toRedis,
    get drops() {
      return toClients.counts.cuts - before;
    },
    breakWays() {
      toClients.setFaults(clientFaults);
      toRedis.setFaults(redisFaults);
      toClients.cut();
      toRedis.cut();
      before = toClients.counts.cuts;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
