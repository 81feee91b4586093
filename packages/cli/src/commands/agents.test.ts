import type { Agent } from "@ksi/client";
import { expect, test } from "vitest";
import { createRecordedTerminal } from "../testing/recorded-terminal.ts";
import { describeAgent, formatAgents } from "./agents.ts";

const now = Date.parse("2026-01-10T12:00:00.000Z");
const ago = (seconds: number) => new Date(now - seconds * 1_000).toISOString();
const bob: Agent = {
  agent_id: "bob",
  profile: "critic",
  capabilities: ["review", "write tests"],
  metadata: { team: "blue\u001b[31m" },
  status: "online",
  last_seen: ago(0),
  registered_at: ago(7_200),
  updated_at: ago(90),
};
const eve: Agent = { ...bob, agent_id: "eve", capabilities: [], status: "offline", last_seen: ago(90) };
delete eve.profile;
delete eve.metadata;
const stream = (isTty: boolean) => createRecordedTerminal({ out: isTty, err: isTty }).out;

test("a terminal gets headings, and whether each agent is there", () => {
  expect(formatAgents([bob, eve], stream(true), now).split("\n")).toEqual([
    "AGENT  STATUS   SEEN  PROFILE  CAPABILITIES",
    "bob    online   now   critic   review,write tests",
    "eve    offline  1 m   -        -",
  ]);
});

test("in a pipe every line is an agent", () => {
  const lines = formatAgents([bob, eve], stream(false), now).split("\n");
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["bob", "eve"]);
});

test("one agent is shown with what is known of it, which cannot drive the terminal", () => {
  expect(describeAgent(bob, stream(true), now).split("\n")).toEqual([
    "agent         bob",
    "status        online, seen just now",
    "registered    2 h ago",
    "profile       critic",
    "capabilities  review,write tests",
    'metadata      {"team":"blue\\u001b[31m"}',
  ]);
  expect(describeAgent(eve, stream(false), now).split("\n")).toEqual([
    "agent       eve",
    "status      offline, seen 1 m ago",
    "registered  2 h ago",
  ]);
});
