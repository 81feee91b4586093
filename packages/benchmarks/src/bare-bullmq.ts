import { startStore } from "@ksi/core";
import { createTempFolder } from "@ksi/testing";
import { Queue, Worker } from "bullmq";
import { now } from "./stats.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface BareBullmq extends AsyncDisposable {
  /** Milliseconds from `queue.add` to the start of the worker's processor. */
  addToStart(): Promise<number>;
}

/** A queue and a worker on an embedded Redis of the same settings, each with its own connection. */
export async function startBareBullmq(): Promise<BareBullmq> {
  const folder = await createTempFolder();
  const store = await startStore({ dir: folder.path, logger: silent });
  let onStart = (_startedAt: number) => {};
  const worker = new Worker("bench", async () => onStart(now()), { connection: store.connect("worker", "queue") });
  const queue = new Queue("bench", { connection: store.connect("queue", "queue") });
  await worker.waitUntilReady();
  return {
    async addToStart() {
      const started = new Promise<number>((resolve) => {
        onStart = resolve;
      });
      const addedAt = now();
      await queue.add("job", {}, { removeOnComplete: true });
      return (await started) - addedAt;
    },
    [Symbol.asyncDispose]: async () => {
      await worker.close();
      await queue.close();
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}
