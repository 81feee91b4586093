import { memo, useEffect, useState } from "react";
import { AgentName } from "./agent-name.tsx";
import { clock } from "./clock.ts";
import type { LiveMessage } from "./flow.ts";
import { toPreview } from "./json.ts";
import { EachReceipt, Receipts } from "./receipts.tsx";

interface Props {
  message: LiveMessage;
  /** It takes more room now. */
  onOpen(): void;
}

/** One message on one line; a click shows all of it. */
export const MessageRow = memo(function MessageRow({ message, onOpen }: Props) {
  const { source, target, event_type, payload, timestamp } = message;
  const [isOpen, setIsOpen] = useState(false);

  useEffect(() => {
    if (isOpen) onOpen();
  }, [isOpen, onOpen]);

  return (
    <li>
      <details className="message" onToggle={(event) => setIsOpen(event.currentTarget.open)}>
        <summary>
          <time dateTime={timestamp}>{clock(timestamp)}</time>
          <span className="route">
            <AgentName id={source} /> <span className="unseen">to</span>
            <span aria-hidden="true">→</span> {target ? <AgentName id={target} /> : <em>everyone</em>}
          </span>
          <code className="type" data-alarm={event_type === "message.blocked" || undefined}>
            {event_type}
          </code>
          <span className="preview">{toPreview(payload)}</span>
          <Receipts message={message} />
        </summary>
        {isOpen && <Whole message={message} />}
      </details>
    </li>
  );
});

function Whole({ message }: { message: LiveMessage }) {
  return (
    <div className="whole">
      <pre>{JSON.stringify(message.payload, null, 2)}</pre>
      <EachReceipt message={message} />
      <code className="dim">{message.id}</code>
    </div>
  );
}
