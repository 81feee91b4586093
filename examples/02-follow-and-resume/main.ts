/**
 * Follows a run, stops in the middle as if the program had died, and goes on from the saved cursor in a second client.
 * Nothing is missing and nothing comes twice.
 */
import { createKsiClient } from "@ksi/client";

const options = {
  url: process.env.KSI_URL ?? "http://127.0.0.1:8000",
  token: process.env.KSI_TOKEN ?? "", // what `ksi token` prints
};

const prompt = "one two three four five six seven eight";
const words: string[] = [];

const before = createKsiClient(options);
const run = await before.run({ prompt, model: "echo", metadata: { echo: { delay_ms: 20 } } });
const events = run.events();
for await (const event of events) {
  if (event.event_type !== "run.text") continue;
  words.push(event.payload.text.trim());
  if (words.length === 3) break;
}
const saved = { run_id: run.run_id, cursor: events.cursor };
await before.close();
console.log(`before: ${words.join(" ")}`);

const after = createKsiClient(options);
const same = await after.runs.attach(saved.run_id);
const rest: string[] = [];
for await (const event of same.events({ cursor: saved.cursor })) {
  if (event.event_type === "run.text") rest.push(event.payload.text.trim());
}
console.log(`after:  ${rest.join(" ")}`);
console.log([...words, ...rest].join(" ") === prompt ? "complete" : "something is missing");
await after.close();
