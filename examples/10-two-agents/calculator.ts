/** An agent that can do sums. It answers whoever asks, until it is stopped. */
import { createKsiClient } from "@ksi/client";
import { z } from "zod";

const ksi = createKsiClient({
  url: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  token: process.env.KSI_TOKEN ?? "", // what `ksi token` prints
});
const Sum = z.object({ a: z.number(), b: z.number() });

const calculator = await ksi.agents.join({ agent_id: "calculator", capabilities: ["math"] });
process.send?.("joined"); // to main.ts, if that started it
process.once("disconnect", () => void calculator.leave());

// What is returned is sent as the reply, and then the question is acknowledged. Were this program to die before that,
// it would be given the question again at its next start. What is thrown, also for what the schema does not take, is an
// answer too: the asker's request fails with it.
await calculator.handle(
  ({ source, payload: { a, b } }) => {
    console.log(`calculator: ${source} asks for ${a} + ${b}`);
    return { sum: a + b };
  },
  { schema: Sum },
);
await ksi.close();
