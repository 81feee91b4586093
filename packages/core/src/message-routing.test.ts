/** Messages for a capability, on the registry as it is. */
import { until } from "@ksi/testing";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type FreshMessages, startFreshMessages } from "./testing/fresh-messages.ts";
import { type FreshRedis, startFreshRedis } from "./testing/fresh-redis.ts";

let redis: FreshRedis;
beforeAll(async () => {
  redis = await startFreshRedis();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

test("a message for capabilities goes to the online agent with the most of them, and to equals in turn", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "both", capabilities: ["math", "code"] });
  await opened.agents.register({ agent_id: "one", capabilities: ["math"] });
  await opened.agents.register({ agent_id: "other", capabilities: ["math", "poetry"] });
  expect(await sendTo(opened, ["math", "code"])).toBe("both");
  expect(await sendTo(opened, ["math", "code"])).toBe("both");
  const turns = [];
  for (let i = 0; i < 6; i++) turns.push(await sendTo(opened, "math"));
  expect(turns).toEqual(["one", "other", "both", "one", "other", "both"]);
  // Sent together they are in turn as well.
  const together = await Promise.all([1, 2, 3].map(() => sendTo(opened, ["math"])));
  expect(together).toEqual(["one", "other", "both"]);
  const { messages } = await opened.port.history({ limit: 1 });
  expect(messages).toMatchObject([{ target: "both", capability: ["math", "code"] }]);
});

test("many messages that nobody can take cost one look at who is there", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "bob", capabilities: ["code"] });
  const list = vi.spyOn(opened.agents, "list");
  const messages = Array.from({ length: 50 }, (_, n) => ({
    source: "alice",
    capability: "math",
    event_type: "x.n",
    payload: n,
  }));
  const { results } = await opened.port.sendBatch({ messages });
  const refusal = { code: "NO_AGENT", details: { capabilities: ["code"] } };
  expect(results).toEqual(messages.map(() => ({ status: "refused", error: expect.objectContaining(refusal) })));
  expect(list).toHaveBeenCalledTimes(1);
  await opened.agents.register({ agent_id: "bob", capabilities: ["law"] });
  await expect(sendTo(opened, "math")).rejects.toMatchObject({ details: { capabilities: ["law"] } });
});

test("of very many capabilities an error lists the first hundred, and how many more there are", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  const names = Array.from({ length: 100 }, (_, n) => `skill ${100 + n}`);
  await opened.agents.register({ agent_id: "one", capabilities: names });
  await opened.agents.register({ agent_id: "two", capabilities: ["writing", "reading"] });
  await expect(sendTo(opened, "writting")).rejects.toMatchObject({
    code: "NO_AGENT",
    message: expect.stringMatching(/Did you mean writing\? There is: reading, skill 100, .*, skill 198 and 2 more\.$/),
    details: { capabilities: ["reading", ...names.slice(0, 99)] },
  });
});

test("a capability that is named again and again counts once", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "one", capabilities: ["math"] });
  await opened.agents.register({ agent_id: "two", capabilities: ["code", "law"] });
  expect(await sendTo(opened, ["math", "math", "math", "code", "law"])).toBe("two");
});

test("an agent that is offline, or is the sender, is not chosen", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "away", capabilities: ["math"] });
  await opened.agents.register({ agent_id: "here", capabilities: ["math"] });
  await redis.store.commands.zrem(opened.fresh.keys.onlineAgents, "away");
  for (let i = 0; i < 3; i++) expect(await sendTo(opened, "math")).toBe("here");
  const own = { source: "here", capability: "math", event_type: "x.n", payload: 1 };
  await expect(opened.port.send(own)).rejects.toMatchObject({ code: "NO_AGENT" });
});

test("without an online agent for it a message is NO_AGENT, which lists what there is", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "bob", capabilities: ["poetry", "code"] });
  const failure = await sendTo(opened, ["math", "law"]).catch((thrown: unknown) => thrown);
  expect(failure).toMatchObject({
    code: "NO_AGENT",
    message: "No agent that is online can do math or law. There is: code, poetry.",
    details: { capabilities: ["code", "poetry"] },
  });
  await expect(sendTo(opened, "poetyr")).rejects.toMatchObject({
    message: "No agent that is online can do poetyr. Did you mean poetry? There is: code, poetry.",
  });
  expect((await opened.port.history({ limit: 1 })).messages).toEqual([]);
});

test("a request by capability is answered by whoever was chosen", async () => {
  await using opened = await startFreshMessages(redis.store, { agents: [] });
  await opened.agents.register({ agent_id: "bob", capabilities: ["math"] });
  const question = { source: "user", capability: "math", event_type: "x.q", payload: 1, timeout_ms: 10_000 };
  const answering = opened.port.request(question);
  const inbox = await opened.inbox();
  const { value } = await inbox.next();
  const { correlation_id, source } = value.event;
  await opened.port.send({ source: "bob", target: source, event_type: "x.a", payload: 2, correlation_id });
  expect((await answering).reply).toMatchObject({ source: "bob", payload: 2 });
  await inbox.return?.();
  await until(() => opened.connected.length === 0);
});

async function sendTo({ port }: FreshMessages, capability: string | string[]): Promise<string | undefined> {
  const { target } = await port.send({ source: "alice", capability, event_type: "x.n", payload: 1 });
  return target;
}
