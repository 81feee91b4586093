/** A chat request as a client sends it, and the reading of a streamed answer. */

export type Handler = (request: Request) => Promise<Response>;

export interface Ask {
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** The least that a chat needs. */
export const hello = { model: "echo", messages: [{ role: "user", content: "hello" }] };

export function chatRequest(body: unknown, { headers, signal }: Ask = {}): Request {
  return new Request("http://ksi.test/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

export function ask(handler: Handler, body: unknown, more?: Ask): Promise<Response> {
  return handler(chatRequest(body, more));
}

/** What each `data:` line holds, parsed; `[DONE]` and comments as they are. */
export function readFrames(text: string): unknown[] {
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((frame) => (frame.startsWith("data: {") ? JSON.parse(frame.slice(6)) : frame));
}

/** The contents of all deltas together. */
export function contentOf(frames: readonly unknown[]): string {
  return frames.map(deltaOf).join("");
}

function deltaOf(frame: unknown): string {
  const { choices = [] } = frame as { choices?: { delta: { content?: string } }[] };
  return choices[0]?.delta.content ?? "";
}

/** Reads one write of the stream at a time. */
export function readWrites(response: Response): { next(): Promise<string | undefined>; cancel(): Promise<void> } {
  const reader = response.body?.getReader();
  if (!reader) throw new Error("The answer has no body.");
  return {
    async next() {
      const { done, value } = await reader.read();
      return done ? undefined : new TextDecoder().decode(value);
    },
    cancel: () => reader.cancel(),
  };
}
