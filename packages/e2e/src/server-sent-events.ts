export interface ServerSentEvent {
  readonly id: string | undefined;
  /** Undefined for an ordinary one. */
  readonly name: string | undefined;
  readonly data: string;
}

/** What an event stream says, as it comes. Comments are left out. */
export async function* readServerSentEvents({ body }: Response): AsyncGenerator<ServerSentEvent, void> {
  let text = "";
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, "m").exec(block)?.[1];
      const data = field("data");
      if (data !== undefined) yield { id: field("id"), name: field("event"), data };
    }
  }
}
