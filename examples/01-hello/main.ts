/** Spawns a run, prints the answer as it streams, and then what the run says about itself. */
import { createKsiClient } from "@ksi/client";

const ksi = createKsiClient({
  url: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  token: process.env.KSI_TOKEN ?? "", // what `ksi token` prints
});

const run = await ksi.run({ prompt: "Hello, agent world!", model: "echo" });

for await (const event of run.events()) {
  if (event.event_type === "run.text") process.stdout.write(event.payload.text);
}

const { result, model } = await run.result();
console.log(`\n${model} answered ${result.length} characters.`);
await ksi.close();
