/** Asks for an answer of a given shape: the schema goes to the agent, and `result` comes back typed and validated. */
import { createKsiClient } from "@ksi/client";
import { z } from "zod";

const ksi = createKsiClient({
  url: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  token: process.env.KSI_TOKEN ?? "", // what `ksi token` prints
});

const City = z.object({ name: z.string(), country: z.string(), inhabitants: z.number().int() });

// The echo demo answers with its prompt, so the prompt holds the answer. With `model: "sonnet"`, ask a question.
const run = await ksi.run({
  prompt: JSON.stringify({ name: "Oslo", country: "Norway", inhabitants: 717_710 }),
  model: "echo",
  output: City,
});

const { result } = await run.result();
console.log(`${result.name} in ${result.country} has ${result.inhabitants.toLocaleString("en")} inhabitants.`);
await ksi.close();
