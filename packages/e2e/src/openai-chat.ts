/** What tests ask by the openai SDK, and what they look at in its streams. */
import type OpenAI from "openai";

/** The body of a chat with the scripted agent. */
export function ask(content: string, session_id?: string) {
  const messages = [{ role: "user" as const, content }];
  return { model: "sonnet", messages, ...(session_id !== undefined && { metadata: { session_id } }) };
}

type Chunk = OpenAI.ChatCompletionChunk;

export async function collect(stream: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
}

export async function* deltasOf(stream: AsyncIterable<Chunk>): AsyncGenerator<string> {
  for await (const { choices } of stream) if (choices[0]?.delta.content) yield choices[0].delta.content;
}
