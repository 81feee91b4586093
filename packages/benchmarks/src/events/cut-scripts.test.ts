import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { connectTo, startBenchRedis } from "./bench-redis.ts";
import { cutScripts } from "./cut-scripts.ts";

const script = "redis.call('INCR', KEYS[1]) redis.call('INCR', KEYS[2]) return 1";
const hash = createHash("sha1").update(script).digest("hex");

test("what was cut is left out of a script, and a cut that no script had is told", async () => {
  const { eval: runText, evalsha: runHash } = Redis.prototype;
  await using server = await startBenchRedis();
  const redis = connectTo(server.path);
  try {
    const unmet = cutScripts([
      { text: "redis.call('INCR', KEYS[2])", instead: "" },
      { text: "redis.call('DECR', KEYS[1])", instead: "" },
    ]);
    expect(unmet()).toHaveLength(2);
    let tellings = 0;
    const run = () =>
      redis.evalsha(hash, 2, "a", "b").catch((error: Error) => {
        expect(error.message).toMatch(/^NOSCRIPT/);
        tellings += 1;
        return redis.eval(script, 2, "a", "b");
      });
    for (let i = 0; i < 3; i++) expect(await run()).toBe(1);
    expect(tellings).toBe(1);
    expect(await redis.mget("a", "b")).toEqual(["3", null]);
    expect(unmet()).toEqual([{ text: "redis.call('DECR', KEYS[1])", instead: "" }]);
  } finally {
    Object.assign(Redis.prototype, { eval: runText, evalsha: runHash });
    redis.disconnect();
  }
});
