/** The openai SDK, unchanged, against `/v1`: a streamed answer, a session that goes on, an answer with a schema. */
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const openai = new OpenAI({
  baseURL: `${process.env.KSI_URL ?? "http://127.0.0.1:8000"}/v1`,
  apiKey: process.env.KSI_TOKEN ?? "",
});
const model = "echo"; // "sonnet" for a real answer

const stream = await openai.chat.completions.create({
  model,
  stream: true,
  messages: [{ role: "user", content: "Hello from the openai SDK!" }],
});
let chunks = 0;
for await (const chunk of stream) {
  const text = chunk.choices[0]?.delta.content;
  if (!text) continue;
  chunks++;
  process.stdout.write(text);
}
console.log(`\n${chunks} pieces`);

// A session keeps the conversation in the daemon: send only what is new.
const session_id = "3f2b8c1e-9a4d-4e6f-8b7a-1c2d3e4f5a6b";
for (const content of ["First.", "Second."]) {
  const answer = await openai.chat.completions.create({
    model,
    messages: [{ role: "user", content }],
    metadata: { session_id },
  });
  console.log(answer.choices[0]?.message.content, answer.choices[0]?.finish_reason);
}

// echo repeats its prompt, so the prompt is the answer that the schema asks for.
const Weather = z.object({ city: z.string(), celsius: z.number() });
const typed = await openai.chat.completions.parse({
  model,
  messages: [{ role: "user", content: '{"city":"Bern","celsius":21}' }],
  response_format: zodResponseFormat(Weather, "weather"),
});
console.log(typed.choices[0]?.message.parsed?.celsius);
