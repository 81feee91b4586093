/** What every server of these benchmarks tells of itself to who measures it. */
import { setTimeout as sleep } from "node:timers/promises";
import { answerParent, type Calls } from "./child.ts";
import type { Cut } from "./cut-scripts.ts";

export interface ServerCalls {
  /** On a Redis by its Unix socket; resolves when subscribers are let in. `dataDir` and `port` are for ours. */
  start(options: StartServer): Promise<Access>;
  /** Of the whole process since it began, user and system, in ms. */
  cpu(): number;
  /** After garbage collection. Needs `--expose-gc`. */
  memory(): Promise<Memory>;
}

export interface StartServer {
  redisPath: string;
  dataDir: string;
  /** 0 is any. */
  port: number;
  /** For ours, as in its configuration. */
  settings?: Record<string, number>;
  /** For ours, what to leave out of its scripts. */
  cuts?: readonly Cut[];
}

export interface Access {
  url: string;
  headers: Record<string, string>;
}

/** Bytes. */
export interface Memory {
  resident: number;
  /** Of JavaScript and what it holds outside of its heap. */
  heap: number;
}

export function answerAsServer(start: ServerCalls["start"], close?: () => Promise<void>, more: Calls = {}): void {
  const calls = {
    start,
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
    memory: async () => {
      for (let i = 0; i < 3; i++) {
        globalThis.gc?.();
        await sleep(100);
      }
      const { rss, heapUsed, external } = process.memoryUsage();
      return { resident: rss, heap: heapUsed + external };
    },
  };
  answerParent({ ...(calls satisfies ServerCalls), ...more }, close);
}
