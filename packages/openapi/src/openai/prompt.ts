/** What the agent is asked, made from the messages of a chat. */
import type { Image } from "@ksi/contract";
import type { ChatMessage, ContentPart } from "./chat-schemas.ts";
import { invalidParam } from "./errors.ts";
import { createImageList, type ImageList } from "./images.ts";

export interface Prompt {
  readonly prompt: string;
  /** The leading system and developer messages, with a blank line between them. */
  readonly system_prompt: string | undefined;
  readonly images: readonly Image[];
  /** The fields of the request that the images came from. */
  readonly imageParams: readonly string[];
}

/**
 * The prompt, by these rules alone:
 *
 * - System and developer messages at the beginning are the system prompt.
 * - With a session the server holds the history, so only what follows the last assistant message is sent.
 * - One user message is the prompt as it is. Several messages are a transcript: a sentence that says so, then one JSON
 *   object a line, so that nothing that a message says can pass for another message.
 * - The texts of a message in parts are joined by line breaks. An image is `[image 1]` in a transcript, or where a
 *   message has nothing else.
 *
 * `INVALID_INPUT` when there is no message to answer: none is left, or the last one is the assistant's.
 */
export function toPrompt(messages: readonly ChatMessage[], hasSession: boolean): Prompt {
  const placed = messages.map((message, index) => ({ message, param: `messages[${index}]` }));
  const start = messages.findIndex(({ role }) => !isSystem(role));
  const leading = placed.slice(0, start === -1 ? undefined : start);
  const lastAnswer = hasSession ? messages.findLastIndex(({ role }) => role === "assistant") : -1;
  const asked = start === -1 ? [] : placed.slice(Math.max(start, lastAnswer + 1));
  if (asked.length === 0 || asked.at(-1)?.message.role === "assistant") {
    throw invalidParam("messages", "there is no message to answer. The last one must not be the assistant's.");
  }

  const list = createImageList();
  const system = leading.map((each) => textOf(each, list)).filter(Boolean);
  return {
    prompt: writePrompt(asked, list, hasSession),
    system_prompt: system.length > 0 ? system.join("\n\n") : undefined,
    images: list.images,
    imageParams: list.params,
  };
}

interface Placed {
  readonly message: ChatMessage;
  readonly param: string;
}

function isSystem(role: string): boolean {
  return role === "system" || role === "developer";
}

function writePrompt(asked: readonly Placed[], list: ImageList, hasSession: boolean): string {
  const [only] = asked;
  if (asked.length === 1 && only?.message.role === "user") {
    const texts = textsOf(only, list);
    return join(texts.filter(({ isImage }) => !isImage)) || join(texts);
  }
  const introduction = hasSession
    ? "Below are the next messages of this conversation, one JSON object a line, oldest first. Answer the last one."
    : "Below is a conversation so far, one JSON object a line, oldest message first. Answer its last message.";
  return [introduction, ...asked.map((each) => writeLine(each, list))].join("\n");
}

/** JSON escapes line breaks, so a line is a message, whatever it says. */
function writeLine(placed: Placed, list: ImageList): string {
  const { role, content, name, refusal, tool_calls, tool_call_id, function_call } = placed.message;
  const text = content == null ? null : textOf(placed, list);
  return JSON.stringify({
    role,
    ...known({ name }),
    content: text,
    ...known({ refusal, tool_calls, tool_call_id, function_call }),
  });
}

function known(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
}

interface Text {
  readonly text: string;
  readonly isImage?: true;
}

function textOf(placed: Placed, list: ImageList): string {
  return join(textsOf(placed, list));
}

function join(texts: readonly Text[]): string {
  return texts.map(({ text }) => text).join("\n");
}

function textsOf({ message: { content }, param }: Placed, list: ImageList): Text[] {
  if (content == null) return [];
  if (typeof content === "string") return [{ text: content }];
  return content.flatMap((part, index) => textsOfPart(part, `${param}.content[${index}]`, list));
}

function textsOfPart(part: ContentPart, param: string, list: ImageList): Text[] {
  switch (part.type) {
    case "text":
      return [{ text: part.text }];
    case "refusal":
      return [{ text: part.refusal }];
    case "image_url":
      return [{ text: list.add(part.image_url.url, `${param}.image_url`), isImage: true }];
    case "input_audio":
    case "file":
      // Refused before.
      return [];
  }
}
