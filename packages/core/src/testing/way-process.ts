/**
 * A server in a process of its own, to be killed: `node way-process.ts REDIS_URL ROOT`. It carries out what comes in by
 * Redis, but the removal of an entry never leaves it: it then prints `carried out` and the name of the way.
 */
import { startCore } from "../core.ts";
import { startStore } from "../redis/store.ts";
import { createEchoRunner } from "../runners/echo.ts";
import { silentLogger as logger } from "./fresh-redis.ts";
import { testHistory as history } from "./test-history.ts";

const [url, root = "."] = process.argv.slice(2);
const store = await startStore({ url, logger });
const { ways } = store.keys.tenant();
const evalsha = store.commands.evalsha.bind(store.commands) as (...args: unknown[]) => Promise<unknown>;
store.commands.evalsha = (...args: unknown[]) => {
  const [, , key] = args;
  if (key !== ways.spawn && key !== ways.messages) return evalsha(...args);
  console.log(`carried out ${key === ways.spawn ? "spawn" : "messages"}`);
  return new Promise<never>(() => undefined);
};
await startCore({
  store,
  logger,
  defaultModel: "echo",
  runners: [createEchoRunner()],
  roots: [root],
  runTimeoutMs: 60_000,
  history,
  version: "0.0.0-test",
  onShutdown: () => undefined,
});
console.log("ready");
