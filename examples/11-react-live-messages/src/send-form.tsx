import { type Agent, type KsiClient, KsiError } from "@ksi/client";
import { type SubmitEvent, useState, useTransition } from "react";
import { toJson } from "./json.ts";
import { Receivers, receiverOf } from "./receivers.tsx";

interface Props {
  ksi: KsiClient;
  agents: readonly Agent[];
}

/** Sends a message. It is not put into the list here: it comes back by the flow, as everybody's do. */
export function SendForm({ ksi, agents }: Props) {
  const [text, setText] = useState("");
  const [error, setError] = useState<string>();
  const [isSending, startSending] = useTransition();

  function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const field = (name: string) => String(fields.get(name));
    const message = { source: field("from"), event_type: field("type"), payload: toJson(text) };
    const receiver = receiverOf(field("to"));
    startSending(async () => {
      try {
        await ksi.messages.send({ ...message, ...receiver });
        setText("");
        setError(undefined);
      } catch (thrown) {
        setError(KsiError.from(thrown).message);
      }
    });
  }

  return (
    <form className="send" aria-label="Send a message" onSubmit={submit}>
      <label>
        From
        <input name="from" required defaultValue="visitor" />
      </label>
      <Receivers agents={agents} />
      <label>
        Type
        <input name="type" required defaultValue="x.note" />
      </label>
      <label className="payload">
        Payload
        <input value={text} onChange={(event) => setText(event.target.value)} placeholder="Text, or JSON" />
      </label>
      <button type="submit" disabled={isSending}>
        Send
      </button>
      {error && <p role="alert">{error}</p>}
    </form>
  );
}
