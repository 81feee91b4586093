/** Refuses what fits OpenAI's schema and cannot be honoured: ignoring it would silently change what the caller means. */
import type { ChatCompletionRequest, ContentPart } from "./chat-schemas.ts";
import { invalidParam } from "./errors.ts";

/** `INVALID_INPUT` for the first of them. */
export function refuseUnserved(request: ChatCompletionRequest): void {
  const { n, logprobs, modalities, messages } = request;
  if ((n ?? 1) > 1) throw invalidParam("n", "only one answer for each request is served.");
  if (asksForFunctions(request)) {
    throw invalidParam(
      "tools",
      "function calling is not served yet. The agent's own tools are steered by metadata.enable_tools.",
    );
  }
  if (logprobs) throw invalidParam("logprobs", "log probabilities are not served, since agents report none.");
  if (modalities?.some((modality) => modality !== "text")) throw invalidParam("modalities", "only text is served.");
  for (const [i, { role, content }] of messages.entries()) {
    if (!Array.isArray(content)) continue;
    for (const [j, part] of content.entries()) {
      const why = refusePart(part, role);
      if (why) throw invalidParam(`messages[${i}].content[${j}].${part.type}`, why);
    }
  }
}

function asksForFunctions({ tools, functions, tool_choice, function_call }: ChatCompletionRequest): boolean {
  return Boolean(tools?.length || functions?.length || forces(tool_choice) || forces(function_call));
}

function forces(choice: unknown): boolean {
  return choice !== undefined && choice !== null && choice !== "none" && choice !== "auto";
}

function refusePart(part: ContentPart, role: string): string | undefined {
  switch (part.type) {
    case "text":
    case "refusal":
      return undefined;
    case "image_url":
      if (role === "system" || role === "developer") return "images are served in other messages than these only.";
      // The server fetches nothing: an address in a caller's hands could point into the server's own network.
      return /^data:/i.test(part.image_url.url) ? undefined : "send the image itself, as a data URI in base64.";
    case "input_audio":
      return "audio is not served. Send its text.";
    case "file":
      return "files are not served. Send the text of the file, or let the agent read it by its tools.";
  }
}
