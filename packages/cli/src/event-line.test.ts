import type { KsiEvent } from "@ksi/client";
import { expect, test } from "vitest";
import { describeEvent } from "./event-line.ts";
import { createRecordedTerminal } from "./testing/recorded-terminal.ts";

const header = { id: "e", source: "bob", timestamp: "2026-01-10T12:00:00.000Z" };
const bob = {
  agent_id: "bob",
  capabilities: ["review", "test"],
  status: "offline" as const,
  last_seen: header.timestamp,
  registered_at: header.timestamp,
  updated_at: header.timestamp,
};
const ofBob = { ...header, agent_id: "bob" };
const receipt = { ...ofBob, target: "alice" };
const run = { ...header, source: "ksi", run_id: "01234567-89ab", session_id: "s" };
const described = (event: KsiEvent, isTty = false) =>
  describeEvent(event, createRecordedTerminal({ out: isTty, err: isTty }).out).replace(/^\S+ /, "");

test.for<[KsiEvent, string]>([
  [{ ...ofBob, event_type: "agent.joined", payload: bob }, "agent.joined      bob, can do review, test"],
  [{ ...ofBob, event_type: "agent.joined", payload: { ...bob, capabilities: [] } }, "agent.joined      bob"],
  [{ ...ofBob, event_type: "agent.updated", payload: bob }, "agent.updated     bob is offline"],
  [{ ...ofBob, event_type: "agent.left", payload: {} }, "agent.left        bob"],
  [{ ...header, event_type: "session.deleted", session_id: "s", payload: {} }, "session.deleted   s"],
  [{ ...receipt, event_type: "message.delivered", payload: { message_id: "m" } }, "message.delivered alice → bob  m"],
  [{ ...receipt, event_type: "message.acked", payload: { message_id: "m" } }, "message.acked     alice → bob  m"],
  [{ ...receipt, event_type: "message.expired", payload: { message_id: "m" } }, "message.expired   alice → bob  m"],
  [{ ...receipt, event_type: "message.redriven", payload: { message_id: "m" } }, "message.redriven  alice → bob  m"],
  [
    { ...receipt, event_type: "message.dead", payload: { message_id: "m", reason: "max_deliveries", deliveries: 10 } },
    "message.dead      alice → bob  m: max_deliveries after 10 deliveries",
  ],
  [
    { ...header, event_type: "message.blocked", target: "alice", payload: { reason: "hops", limit: 32 } },
    "message.blocked   bob → alice  more than 32 hops",
  ],
  [
    { ...header, event_type: "message.blocked", payload: { reason: "rate", limit: 6_000 } },
    "message.blocked   bob → everyone  more than 6000 a minute",
  ],
  [
    { ...header, event_type: "state.set", payload: { namespace: "release", key: "plan", version: 3 } },
    "state.set         bob  release plan: version 3",
  ],
  [
    {
      ...header,
      event_type: "state.deleted",
      payload: { namespace: "release", key: "plan", version: 3, reason: "expired" },
    },
    "state.deleted     bob  release plan: its time was over",
  ],
  [
    { ...run, event_type: "run.started", payload: { model: "echo", runner: "echo", worker_id: "w", attempt: 1 } },
    "run.started       01234567  echo by runner echo",
  ],
  [{ ...header, event_type: "x.done", payload: { content: "yes" } }, "x.done            bob  yes"],
  [{ ...header, event_type: "x.task", target: "alice", payload: [1] }, "x.task            bob → alice  [1]"],
])("%# says what happened in one line", ([event, line]) => {
  expect(described(event)).toBe(line);
});

test("an event cannot drive the terminal of who reads it", () => {
  const event: KsiEvent = { ...header, event_type: "x.done", payload: "a\u001b[31mb" };
  expect(described(event, true)).toBe("x.done            bob  a[31mb");
  expect(described(event)).toContain("\u001b");
});
