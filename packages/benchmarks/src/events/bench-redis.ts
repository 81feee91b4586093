/** The Redis of one question: a fresh one with the settings of the daemon's own, which all peers are given. */
import { startStore } from "@ksi/core";
import { createTempFolder } from "@ksi/testing";
import { Redis } from "ioredis";

export const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface BenchRedis extends AsyncDisposable {
  /** Of its Unix socket. */
  readonly path: string;
  /** `always` at first. */
  setFsync(policy: "always" | "everysec"): Promise<void>;
  /** Since it began. */
  use(): Promise<RedisUse>;
}

export interface RedisUse {
  /** µs in scripts, which are all that calls of ours are made of. */
  scriptUs: number;
  /** ms of CPU of the whole process. */
  cpuMs: number;
}

export async function startBenchRedis(): Promise<BenchRedis> {
  const folder = await createTempFolder("ksi-bench-");
  const store = await startStore({ dir: folder.path, logger: silent });
  const { path = "" } = store.commands.options;
  return {
    path,
    setFsync: async (policy) => {
      await store.commands.config("SET", "appendfsync", policy);
    },
    use: async () => {
      const info = await store.commands.info("all");
      const sum = (figure: RegExp) => [...info.matchAll(figure)].reduce((total, [, value]) => total + Number(value), 0);
      return {
        scriptUs: sum(/^cmdstat_eval(?:sha)?:calls=\d+,usec=(\d+)/gm),
        cpuMs: sum(/^used_cpu_(?:user|sys):([\d.]+)/gm) * 1_000,
      };
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** One that fails instead of trying again. */
export function connectTo(path: string): Redis {
  const redis = new Redis({ path, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  // Whoever waits for an answer is told; the rest is the end of a round.
  return redis.on("error", () => undefined);
}
