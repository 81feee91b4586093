import { type Json, type StateEvent, type StatePort, schemas } from "@ksi/contract";
import { until } from "@ksi/testing";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { channels } from "./redis/keys.ts";
import { createState } from "./state.ts";
import { startStateSweep } from "./state-sweep.ts";
import { type FreshLog, startFreshLog } from "./testing/fresh-log.ts";
import { type FreshRedis, silentLogger, startFreshRedis } from "./testing/fresh-redis.ts";
import { redisTime, untilRedisTime } from "./testing/redis-time.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
});

const ref = fc.record({
  namespace: fc.constantFrom("a", "a:b"),
  key: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom("a", "a/b", "a b", "*", "[a-z]", "é", "e\u0301", "\ufffd", "😀") },
    {
      weight: 1,
      arbitrary: fc
        .string({ unit: "binary", minLength: 1, maxLength: 20 })
        .filter((key) => schemas.stateKey.safeParse(key).success),
    },
  ),
});
/** By what it is in relation to the key, since versions are only known as one goes. */
const wanted = fc.constantFrom("any", "absent", "current", "older", "never given");
const ttl = fc.constantFrom<(number | undefined)[]>(undefined, 600_000);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("set" as const), ref, wanted, ttl_ms: ttl, value: fc.jsonValue() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), ref, wanted }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("expire" as const), ref }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("list" as const),
      ref,
      prefix: fc.constantFrom(undefined, "", "a", "a/", "\ufffd", "😀", "*"),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
type Wanted = typeof wanted extends fc.Arbitrary<infer W> ? W : never;

interface Known {
  readonly version: number;
  readonly text: string;
  readonly expires_at: string | undefined;
}

test("whatever is done in whatever order, the state is that of a Map and each change is told once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using fresh = startFreshLog(redis.store);
      const model = new Model(fresh);
      for (const what of steps) await model.take(what);
      await model.expectAllOfIt();
    }),
    { seed: 20_261_122, numRuns: 60, endOnFailure: true },
  );
});

/** Does each step to the state and to a Map, and expects the same of both. */
class Model {
  readonly #fresh: FreshLog;
  readonly #state: StatePort;
  /** By `namespace key`. */
  readonly #live = new Map<string, Known>();
  /** What has expired, and was not told yet. */
  readonly #over = new Map<string, number>();
  /** What is to be told, by `namespace key`. */
  readonly #told = new Map<string, string[]>();
  #lastVersion = 0;

  constructor(fresh: FreshLog) {
    this.#fresh = fresh;
    this.#state = createState({ store: redis.store, log: fresh.log, tenant: fresh.tenant });
  }

  take(what: Step): Promise<void> {
    switch (what.do) {
      case "set":
        return this.#set(what);
      case "delete":
        return this.#delete(what);
      case "expire":
        return this.#expire(what);
      case "sweep":
        return this.#sweep();
      case "list":
        return this.#list(what);
    }
  }

  async #set({ ref, wanted, ttl_ms, value }: Extract<Step, { do: "set" }>): Promise<void> {
    const name = nameOf(ref);
    const [version, if_version] = this.#versions(name, wanted);
    const call = this.#state.set({ ...ref, value: value as Json, ttl_ms, if_version });
    this.#tellEnd(name);
    if (if_version !== undefined && if_version !== version) {
      await expect(call).rejects.toMatchObject({ code: "CONFLICT", details: { version } });
      return;
    }
    const set = await call;
    expect(set.version).toBe(this.#lastVersion + 1);
    expect(set.expires_at !== undefined).toBe(ttl_ms !== undefined);
    this.#lastVersion = set.version;
    this.#live.set(name, { version: set.version, text: JSON.stringify(value), expires_at: set.expires_at });
    this.#tell(name, `set ${set.version}`);
  }

  async #delete({ ref, wanted }: Extract<Step, { do: "delete" }>): Promise<void> {
    const name = nameOf(ref);
    // What is not there cannot be wanted of a delete.
    const [version, if_version] = this.#versions(name, wanted === "absent" ? "any" : wanted);
    const call = this.#state.delete({ ...ref, if_version });
    this.#tellEnd(name);
    if (version === 0) {
      await expect(call).rejects.toMatchObject({ code: "NOT_FOUND" });
    } else if (if_version !== undefined && if_version !== version) {
      await expect(call).rejects.toMatchObject({ code: "CONFLICT", details: { version } });
    } else {
      expect(await call).toEqual({ status: "deleted", ...ref });
      this.#live.delete(name);
      this.#tell(name, `deleted ${version}`);
    }
  }

  /** Sets it with a short end, and waits for that. */
  async #expire({ ref }: Extract<Step, { do: "expire" }>): Promise<void> {
    await this.#set({ do: "set", ref, wanted: "any", ttl_ms: 1, value: "short" });
    const name = nameOf(ref);
    const { version, expires_at } = this.#live.get(name) ?? raise();
    await untilRedisTime(redis.store, expires_at);
    this.#live.delete(name);
    this.#over.set(name, version);
  }

  async #sweep(): Promise<void> {
    const { keys } = this.#fresh;
    const { store } = redis;
    const sweep = startStateSweep({ ...this.#fresh, store, logger: silentLogger, intervalMs: 1 });
    const now = String(await redisTime(store));
    await until(async () => (await store.commands.zcount(keys.stateExpiring, "-inf", now)) === 0);
    await sweep.stop();
    for (const name of [...this.#over.keys()]) this.#tellEnd(name);
  }

  async #list({ ref: { namespace }, prefix, limit }: Extract<Step, { do: "list" }>): Promise<void> {
    const found: unknown[] = [];
    let after: string | undefined;
    do {
      const page = await this.#state.list({ namespace, prefix, after, limit });
      expect(page.entries.length).toBeLessThanOrEqual(limit);
      expect(page.next === undefined || page.next === page.entries.at(-1)?.key).toBe(true);
      found.push(...page.entries.map(({ key, version, expires_at }) => ({ key, version, expires_at })));
      after = page.next;
    } while (after !== undefined);
    const expected = [...this.#live]
      .map(([name, { version, expires_at }]) => ({ ...refOf(name), version, expires_at }))
      .filter((entry) => entry.namespace === namespace && entry.key.startsWith(prefix ?? ""))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
      .map(({ key, version, expires_at }) => ({ key, version, expires_at }));
    expect(found).toEqual(expected);
  }

  /** Every key that was ever named is what the Map says, and each change was told, in order, and nothing else. */
  async expectAllOfIt(): Promise<void> {
    for (const name of this.#told.keys()) {
      const known = this.#live.get(name);
      const call = this.#state.get(refOf(name));
      if (!known) {
        await expect(call).rejects.toMatchObject({ code: "NOT_FOUND" });
        continue;
      }
      const { value, version, expires_at } = await call;
      expect({ text: JSON.stringify(value), version, expires_at }).toEqual(known);
    }
    await this.#sweep();
    const told = new Map<string, string[]>();
    const { entries } = await this.#fresh.log.page<StateEvent>(channels.firehose, { limit: 10_000 });
    for (const { event } of entries) {
      const { payload } = event;
      const word = "reason" in payload ? payload.reason : "set";
      const name = nameOf(payload);
      told.set(name, [...(told.get(name) ?? []), `${word} ${payload.version}`]);
    }
    expect(told).toEqual(this.#told);
  }

  /** The version that the key has, and the one to ask for. */
  #versions(name: string, wanted: Wanted): [version: number, if_version: number | undefined] {
    const version = this.#live.get(name)?.version ?? 0;
    switch (wanted) {
      case "any":
        return [version, undefined];
      case "absent":
        return [version, 0];
      case "current":
        return [version, version || undefined];
      case "older":
        return [version, version > 1 ? version - 1 : undefined];
      case "never given":
        return [version, this.#lastVersion + 1];
      default:
        return raise();
    }
  }

  #tellEnd(name: string): void {
    const version = this.#over.get(name);
    if (version !== undefined) this.#tell(name, `expired ${version}`);
    this.#over.delete(name);
  }

  #tell(name: string, line: string): void {
    this.#told.set(name, [...(this.#told.get(name) ?? []), line]);
  }
}

function nameOf({ namespace, key }: { namespace: string; key: string }): string {
  return `${namespace} ${key}`;
}

function refOf(name: string): { namespace: string; key: string } {
  const end = name.indexOf(" ");
  return { namespace: name.slice(0, end), key: name.slice(end + 1) };
}

function raise(): never {
  throw new Error("unreachable");
}
