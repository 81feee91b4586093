import { afterAll, beforeAll, expect, test } from "vitest";
import { mustBeRegistered, unknownAgent } from "./agent-not-found.ts";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
let opened: FreshMessages;
beforeAll(async () => {
  redis = await startFreshRedis();
  opened = await startFreshMessages(redis.store, { agents: ["alice", "bob"] });
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

const agent_id = "bbo";
const message = { source: "alice", target: agent_id, event_type: "x.n", payload: 1 };

test.for<[name: string, call: (of: FreshMessages) => Promise<unknown>]>([
  ["agents.get", ({ agents }) => agents.get(agent_id)],
  ["agents.unregister", ({ agents }) => agents.unregister(agent_id)],
  ["agents.heartbeat", ({ agents }) => agents.heartbeat(agent_id)],
  ["messages.send", ({ port }) => port.send(message)],
  ["messages.request", ({ port }) => port.request({ ...message, timeout_ms: 10_000 })],
  ["messages.inbox", ({ inbox }) => inbox({ agent_id })],
  ["messages.inbox, shared", ({ inbox }) => inbox({ agent_id, mode: "shared" })],
  ["messages.inbox, looked at", ({ inbox }) => inbox({ agent_id, from: "oldest" })],
  ["messages.nack", ({ port }) => port.nack({ agent_id, ids: ["m"], delay_ms: 0 })],
  ["messages.deadLetters", ({ port }) => port.deadLetters({ agent_id, limit: 1 })],
  ["messages.redrive", ({ port }) => port.redrive({ agent_id })],
])("%s names who may have been meant by an agent that is not registered", async ([_name, call]) => {
  await expect(call(opened)).rejects.toMatchObject({
    code: "NOT_FOUND",
    message: "No agent is registered as bbo. Did you mean bob?",
  });
});

test("a batch is refused without near names, which each of its messages would have to look for", async () => {
  const { results } = await opened.port.sendBatch({ messages: [message] });
  expect(results).toMatchObject([{ status: "refused", error: { code: "NOT_FOUND" } }]);
  expect(JSON.stringify(results)).not.toContain("Did you mean");
});

test("a name that is like no other is told so", async () => {
  await expect(opened.agents.get("zoe")).rejects.toMatchObject({
    code: "NOT_FOUND",
    message: "No agent is registered as zoe. Register it first, or look at the list.",
  });
});

test("names are read only where nobody is registered, and their absence changes no answer", async () => {
  const { keys } = opened.fresh;
  let reads = 0;
  const failing = new Proxy(redis.store.commands, {
    get: (commands, name) => {
      if (name !== "zrangebylex") return Reflect.get(commands, name);
      reads += 1;
      return () => Promise.reject(new Error("Redis has gone."));
    },
  });
  const registry = { redis: failing, keys };
  await mustBeRegistered(registry, "bob");
  expect(reads).toBe(0);
  await expect(mustBeRegistered(registry, agent_id)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(reads).toBe(1);
  expect((await unknownAgent(registry, agent_id)).message).toContain("No agent is registered as bbo.");
});
