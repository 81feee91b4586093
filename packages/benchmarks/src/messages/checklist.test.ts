import { expect, test } from "vitest";
import { agentNames, draftMessage } from "./bench-message.ts";
import { createChecklist } from "./checklist.ts";

function faultOf(...received: [agent: number, target: string, n: number][]): string | undefined {
  const checklist = createChecklist(agentNames(2));
  for (const [agent, target, n] of received) checklist.check(agent, draftMessage(target, n));
  return checklist.fault;
}

test("messages that each agent is given once and in order are no fault", () => {
  expect(faultOf([0, "agent-0", 0], [1, "agent-1", 0], [0, "agent-0", 1], [1, "agent-1", 1])).toBeUndefined();
});

test.each<[string, Parameters<typeof faultOf>, string]>([
  [
    "lost",
    [
      [0, "agent-0", 0],
      [0, "agent-0", 2],
    ],
    "agent-0 was given message 2 to agent-0 where 1 was due",
  ],
  [
    "repeated",
    [
      [0, "agent-0", 0],
      [0, "agent-0", 0],
    ],
    "agent-0 was given message 0 to agent-0 where 1 was due",
  ],
  [
    "out of turn",
    [
      [1, "agent-1", 1],
      [1, "agent-1", 0],
    ],
    "agent-1 was given message 1 to agent-1 where 0 was due",
  ],
  ["another's", [[0, "agent-1", 0]], "agent-0 was given message 0 to agent-1 where 0 was due"],
])("a message that was %s is a fault", (_, received, fault) => {
  expect(faultOf(...received)).toBe(fault);
});
