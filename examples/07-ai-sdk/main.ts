/** The AI SDK against `/v1`, by its provider for OpenAI-compatible servers: text, a stream, an object. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText } from "ai";
import { z } from "zod";

const ksi = createOpenAICompatible({
  name: "ksi",
  baseURL: `${process.env.KSI_URL ?? "http://127.0.0.1:8000"}/v1`,
  apiKey: process.env.KSI_TOKEN ?? "",
  supportsStructuredOutputs: true,
});
const model = ksi("echo"); // "sonnet" for a real answer

const { text, finishReason } = await generateText({ model, prompt: "Hello from the AI SDK!" });
console.log(text, finishReason);

const { textStream } = streamText({ model, prompt: "One word after the other." });
for await (const piece of textStream) console.log(piece.trim());

// echo repeats its prompt, so the prompt is the answer that the schema asks for.
const { output } = await generateText({
  model,
  prompt: '{"city":"Bern","celsius":21}',
  output: Output.object({ schema: z.object({ city: z.string(), celsius: z.number() }) }),
});
console.log(output.city, output.celsius);
