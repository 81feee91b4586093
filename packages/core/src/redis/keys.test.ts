import { expect, test } from "vitest";
import { channels, createKeys } from "./keys.ts";

const runId = "run_1";
const sessionId = "3f2b0c1e-0000-4000-8000-000000000000";

test("the channels have the names that plain Redis clients listen to", () => {
  const keys = createKeys().tenant();
  expect(keys.channel(channels.run(runId))).toBe("ksi:{default}:runs:run_1");
  expect(keys.channel(channels.results(sessionId))).toBe(`ksi:{default}:results:${sessionId}`);
  expect(keys.channel(channels.inbox("bob"))).toBe("ksi:{default}:agents:bob:inbox");
  expect(keys.channel(channels.agentsBroadcast)).toBe("ksi:{default}:agents:broadcast");
  expect(keys.channel(channels.messageBus)).toBe("ksi:{default}:events:message_bus");
  expect(keys.channel(channels.firehose)).toBe("ksi:{default}:events:broadcast");
  expect(keys.ways).toEqual({ spawn: "ksi:{default}:commands:spawn", messages: "ksi:{default}:agents:messages" });
  expect(keys.queue).toEqual({ prefix: "ksi:{default}:commands", name: "spawn" });
});

test("all keys of a tenant carry its hash tag, and no two are the same", () => {
  const keys = createKeys("my-ksi").tenant("acme");
  const all = [
    keys.epoch,
    keys.control,
    keys.run("x"),
    keys.runs,
    keys.outbox,
    keys.idempotency("x"),
    keys.session("x"),
    keys.sessionLine("x"),
    keys.sessionRuns("x"),
    keys.sessions,
    keys.agent("x"),
    keys.agents,
    keys.onlineAgents,
    keys.agentsWith("x"),
    keys.capabilities,
    keys.agentsUsed,
    keys.inboxReady("x"),
    keys.inboxTaken("x"),
    keys.inboxFacts("x"),
    keys.inboxConsumer("x:y"),
    keys.inboxConsumers,
    keys.expiringMessages,
    keys.inboxTurn("x"),
    ...Object.values(keys.deadLetters("x")),
    keys.request("x"),
    keys.sentMessage("x"),
    keys.messageRate("x:y"),
    ...Object.values(keys.state("x")),
    keys.stateVersion,
    keys.stateExpiring,
    ...Object.values(keys.refused),
    keys.channel(channels.reply("x")),
    keys.ways.spawn,
    keys.ways.messages,
    keys.queue.prefix,
    ...[channels.run("x"), channels.results("x"), channels.inbox("x")].map((name) => keys.channel(name)),
    ...[channels.agentsBroadcast, channels.messageBus, channels.firehose].map((name) => keys.channel(name)),
  ];
  expect(new Set(all).size).toBe(all.length);
  for (const key of all) expect(key).toMatch(/^my-ksi:\{acme\}:/);
});

test("an inbox is known by its channel", () => {
  const keys = createKeys("my.ksi");
  expect(keys.inboxOf(keys.tenant("acme").channel(channels.inbox("a.b@c")))).toEqual({
    tenant: "acme",
    agentId: "a.b@c",
  });
  for (const name of [channels.agentsBroadcast, channels.firehose, "agents::inbox", "agents:a:b:inbox"]) {
    expect(keys.inboxOf(keys.tenant().channel(name))).toBeUndefined();
  }
  expect(keys.inboxOf(createKeys("my-ksi").tenant().channel(channels.inbox("a")))).toBeUndefined();
});

test.for(["", "a{b}", "a b"])("the prefix %j is refused", (prefix) => {
  expect(() => createKeys(prefix)).toThrow(expect.objectContaining({ code: "INVALID_INPUT" }));
});
