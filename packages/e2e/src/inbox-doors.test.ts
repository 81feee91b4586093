/** One story of an inbox, told over each door: what one promises about messages, the others keep as well. */
import { randomUUID } from "node:crypto";
import type { KsiEvent, Message, SendInput } from "@ksi/contract";
import { until } from "@ksi/testing";
import { afterAll, describe, expect, test } from "vitest";
import { type Following, type InboxDoor, type InboxRequest, inboxDoors } from "./inbox-doors.ts";
import { startLiveDaemon } from "./live-daemon.ts";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const { daemon } = stack.use(await startLiveDaemon({ env: { KSI_AGENT_OFFLINE_AFTER_MS: "1000" } }));

describe.each(inboxDoors)("over $name", ({ open }) => {
  const door = stack.use(open(daemon));

  test("what was sent to an agent that was away waits in order, and is given again until it is acknowledged", async () => {
    const { bob, send } = await startStory(door);
    const ids = [await send("one"), await send("two"), await send("three")];
    expect(await takeSome(bob, {}, 3)).toEqual(["one", "two", "three"]);
    expect(await takeSome(bob, {}, 3)).toEqual(["one", "two", "three"]);

    const second = { agent_id: bob, ids: ids.slice(1, 2) };
    expect(await door.ack(second)).toEqual({ status: "acked", acked: 1 });
    expect(await door.ack(second)).toEqual({ status: "acked", acked: 0 });
    expect(await door.ack({ agent_id: bob, ids: [randomUUID()] })).toEqual({ status: "acked", acked: 0 });

    await using inbox = door.inbox({ agent_id: bob });
    await untilHas(inbox, 2);
    await send("four");
    await untilHas(inbox, 3);
    expect(wordsOf(inbox)).toEqual(["one", "three", "four"]);
  });

  test("who was cut off goes on after its cursor, and misses and repeats nothing", async () => {
    const { bob, send } = await startStory(door);
    const ids = [await send("one"), await send("two")];
    let cursor: string | undefined;
    {
      await using inbox = door.inbox({ agent_id: bob });
      await untilHas(inbox, 2);
      expect(inbox.entries.map(({ value }) => value.id)).toEqual(ids);
      cursor = inbox.entries.at(-1)?.cursor;
    }
    await send("three");
    await using resumed = door.inbox({ agent_id: bob, after: cursor });
    await untilHas(resumed, 1);
    await send("four");
    await untilHas(resumed, 2);
    expect(wordsOf(resumed)).toEqual(["three", "four"]);
    await using lost = door.inbox({ agent_id: bob, after: "1.1" });
    await until(() => lost.failure, { message: "a cursor of another history is refused" });
    expect([lost.failure, lost.entries]).toEqual(["HISTORY_TRIMMED", []]);
  });

  test("receipts tell the sender what became of each message, and only it", async () => {
    const { bob, alice, send } = await startStory(door);
    const [first, second] = [await send("one", { correlation_id: "c-1" }), await send("two")];
    await using toSender = door.events({ types: ["message.*"], target: alice });
    await using ofInbox = door.events({ types: ["message.acked"], agent_id: bob });
    await using toOther = door.events({ target: bob });
    expect(await takeSome(bob, {}, 2)).toEqual(["one", "two"]);
    await door.ack({ agent_id: bob, ids: [second] });
    await door.ack({ agent_id: bob, ids: [first] });
    await untilHas(toSender, 4);
    const about = (event_type: string, message_id: string, more = {}) => {
      const receipt = { event_type, agent_id: bob, target: alice, source: expect.any(String) };
      return expect.objectContaining({ ...receipt, payload: { message_id, ...more } });
    };
    const told = toSender.entries.map(({ value }) => value);
    const of = (id: string) => told.filter(({ payload }) => (payload as { message_id: string }).message_id === id);
    // A delivery may be told with the acknowledgement; of one message it always comes before it.
    const both = ["message.delivered", "message.acked"];
    expect(of(first)).toEqual(both.map((type) => about(type, first, { correlation_id: "c-1" })));
    expect(of(second)).toEqual(both.map((type) => about(type, second)));
    await untilHas(ofInbox, 2);
    const acked = told.filter(({ event_type }) => event_type === "message.acked");
    expect(ofInbox.entries.map(({ value }) => value.id)).toEqual(acked.map(({ id }) => id));
    // To the receiver went the messages, and no receipt.
    await untilHas(toOther, 2);
    expect(toOther.entries.map(({ value }) => value.event_type)).toEqual(["NOTE", "NOTE"]);

    await using late = door.events({ types: ["message.*"], target: alice }, toSender.entries[1]?.cursor);
    await untilHas(late, 2);
    expect(idsOf(late)).toEqual(idsOf(toSender).slice(2));
  });

  test("who only looks sees everything that is kept, and leaves no receipt and no agent online", async () => {
    const { bob, alice, send } = await startStory(door);
    const ids = [await send("one"), await send("two")];
    await door.ack({ agent_id: bob, ids: ids.slice(0, 1) });
    await until(async () => (await door.agent(bob)).status === "offline", { message: "the agent is offline" });
    {
      await using looked = door.inbox({ agent_id: bob, from: "oldest" });
      await untilHas(looked, 2);
      expect(wordsOf(looked)).toEqual(["one", "two"]);
      await send("three");
      await untilHas(looked, 3);
      expect((await door.agent(bob)).status).toBe("offline");
    }
    await door.publish({ source: alice, event_type: "x.looked", agent_id: bob, payload: null });

    await using consumed = door.inbox({ agent_id: bob });
    await untilHas(consumed, 2);
    expect(wordsOf(consumed)).toEqual(["two", "three"]);
    expect((await door.agent(bob)).status).toBe("online");
    await using events = door.events({ types: ["message.*", "x.looked"], agent_id: bob });
    await untilHas(events, 5);
    expect(events.entries.map(({ value }) => value.event_type)).toEqual([
      "message.delivered",
      "message.acked",
      "x.looked",
      "message.delivered",
      "message.delivered",
    ]);
  });

  test("consumers that share an inbox are given each message once, no more than they take, and what others leave", async () => {
    const { bob, send } = await startStory(door);
    const shared: InboxRequest = { agent_id: bob, mode: "shared", prefetch: 1 };
    await using staying = door.inbox(shared);
    const first = await send("one");
    await untilHas(staying, 1);
    {
      await using leaving = door.inbox(shared);
      const second = await send("two");
      await send("three");
      await untilHas(leaving, 1);
      expect([idsOf(staying), idsOf(leaving)]).toEqual([[first], [second]]);
    }
    // It takes nothing before it has acknowledged what it holds.
    expect(idsOf(staying)).toEqual([first]);
    for (const count of [2, 3]) {
      await door.ack({ agent_id: bob, ids: idsOf(staying).slice(-1) });
      await untilHas(staying, count);
    }
    // What the other has left may come behind what was sent later.
    const [one, ...others] = wordsOf(staying);
    expect([one, new Set(others)]).toEqual(["one", new Set(["two", "three"])]);
    await door.ack({ agent_id: bob, ids: idsOf(staying) });
    await using after = door.inbox({ agent_id: bob });
    await send("four");
    await untilHas(after, 1);
    expect(wordsOf(after)).toEqual(["four"]);
  });

  test("an inbox that is nobody's is NOT_FOUND", async () => {
    await using inbox = door.inbox({ agent_id: "nobody" });
    await until(() => inbox.failure, { message: "it is refused" });
    expect(inbox.failure).toBe("NOT_FOUND");
  });

  /** Opens an inbox until it has so many messages, and goes away without a word. */
  async function takeSome(agent_id: string, request: Partial<InboxRequest>, count: number): Promise<unknown[]> {
    await using inbox = door.inbox({ ...request, agent_id });
    await untilHas(inbox, count);
    return wordsOf(inbox);
  }
});

/** A sender and a receiver of their own. */
async function startStory(door: InboxDoor) {
  const [alice, bob] = [`alice-${randomUUID()}`, `bob-${randomUUID()}`];
  await door.register({ agent_id: bob });
  const send = async (word: string, more: Partial<SendInput> = {}) => {
    const message = { source: alice, target: bob, event_type: "NOTE", payload: { word }, ...more };
    return (await door.send(message)).id;
  };
  return { alice, bob, send };
}

async function untilHas({ entries }: Following<unknown>, count: number): Promise<void> {
  await until(() => entries.length >= count, { message: `there are ${count}` });
}

function wordsOf({ entries }: Following<Message>): unknown[] {
  return entries.map(({ value: { payload } }) => Object(payload).word);
}

function idsOf({ entries }: Following<Message | KsiEvent>): string[] {
  return entries.map(({ value }) => value.id);
}
