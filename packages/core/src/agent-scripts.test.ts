import fc from "fast-check";
import { expect, test } from "vitest";
import { isoLua } from "./agent-scripts.ts";
import { startFreshRedis } from "./testing/fresh-redis.ts";

test("times that a script writes are what toISOString gives", async () => {
  await using redis = await startFreshRedis();
  const script = `${isoLua}
    local answer = {}
    for i, ms in ipairs(ARGV) do answer[i] = ksi_iso(ms) end
    return answer`;
  const borders = ["1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2100-03-01T00:00:00.000Z"].map(Date.parse);
  const time = fc.oneof(
    fc.constantFrom(...borders),
    fc.integer({ min: 0, max: Date.parse("9999-12-31T23:59:59.999Z") }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(time, { minLength: 100, maxLength: 500 }), async (times) => {
      const written = await redis.store.commands.eval(script, 0, ...times);
      expect(written).toEqual(times.map((ms) => new Date(ms).toISOString()));
    }),
    { seed: 20_261_122, numRuns: 50 },
  );
});
