/** An agent that asks whoever can do sums, and then sees that its question was acknowledged. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createKsiClient } from "@ksi/client";
import { z } from "zod";

const ksi = createKsiClient({
  url: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  token: process.env.KSI_TOKEN ?? "", // what `ksi token` prints
});

// The other agent is a program of its own, and could as well run elsewhere.
const calculator = fork(`${import.meta.dirname}/calculator.ts`);
await once(calculator, "message");

const student = await ksi.agents.join({ agent_id: "student" });
const question = { capability: "math", event_type: "x.sum", payload: { a: 19, b: 23 } };
const { id, reply } = await student.request(question, { schema: z.object({ sum: z.number() }) });
console.log(`student: ${reply.source} answers`, reply.payload.sum);

// What becomes of a message is told by events whose target is its sender.
const receipts = ksi.events.subscribe({ types: ["message.*"], target: "student" }, { from: "oldest" });
for await (const event of receipts) {
  if (event.event_type !== "message.acked" || event.payload.message_id !== id) continue;
  console.log(`student: ${event.agent_id} has acknowledged the question`);
  break;
}

calculator.disconnect();
await student.leave();
await ksi.close();
