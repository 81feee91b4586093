/** A worker in a process of its own, to be killed and stopped: `node worker-process.ts REDIS_URL ROOT`. */
import { setInterval } from "node:timers/promises";
import { startStore } from "../redis/store.ts";
import { createEchoRunner } from "../runners/echo.ts";
import type { Runner } from "../runners/runner.ts";
import { startWorker } from "../worker.ts";
import { silentLogger } from "./fresh-redis.ts";
import { testHistory } from "./test-history.ts";

/** `before` never hands over its prompt; `after` does, and then talks without end. */
const stuckRunner: Runner = {
  name: "stuck",
  models: ["before", "after"],
  takesImages: false,
  serves: (model) => model === "before" || model === "after",
  probe: () => Promise.resolve({ name: "stuck", available: true, models: ["before", "after"] }),
  start({ model }, { signal, emit, promptHanded }) {
    const { promise: outcome, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason));
    const talk = async () => {
      if (model === "before") return;
      await promptHanded();
      for await (const _ of setInterval(20, undefined, { signal })) {
        emit({ event_type: "run.text", payload: { text: "still here " } });
      }
    };
    return { outcome, ended: talk().catch(() => undefined) };
  },
};

const [url, root = "."] = process.argv.slice(2);
const store = await startStore({ url, logger: silentLogger });
const worker = await startWorker({
  store,
  logger: {
    ...silentLogger,
    // The test waits for these.
    warn: (_fields, message) => console.log(message),
  },
  runners: [stuckRunner, createEchoRunner()],
  concurrency: 4,
  tools: [],
  roots: [root],
  logDir: `${root}/logs`,
  history: testHistory,
});
console.log(`ready ${worker.id}`);
