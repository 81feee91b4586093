/**
 * A worker in a process of its own, to be killed and stopped: `node worker-process.ts REDIS_URL ROOT [CLAUDE]`. SIGUSR2
 * blocks its event loop for two seconds.
 */
import { setInterval } from "node:timers/promises";
import type { Logger } from "../logger.ts";
import { startReaper } from "../reaper.ts";
import { startStore } from "../redis/store.ts";
import { createClaudeRunner } from "../runners/claude.ts";
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

const [url, root = ".", bin = "/nowhere/claude"] = process.argv.slice(2);
const logger: Logger = {
  ...silentLogger,
  // The test waits for these.
  warn: (_fields, message) => console.log(message),
};
const store = await startStore({ url, logger: silentLogger });
const reaper = startReaper({ logger });
const worker = await startWorker({
  store,
  logger,
  runners: [stuckRunner, createClaudeRunner({ bin, env: process.env, reaper, logger }), createEchoRunner()],
  concurrency: 4,
  tools: [],
  roots: [root],
  logDir: `${root}/logs`,
  history: testHistory,
});
process.on("SIGUSR2", () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
  console.log("blocked");
});
console.log(`ready ${worker.id}`);
