import { AgentName } from "./agent-name.tsx";
import { duration } from "./clock.ts";
import type { LiveMessage, Receipt } from "./flow.ts";

const signs = {
  "message.delivered": { sign: "✓", word: "delivered" },
  "message.acked": { sign: "✓✓", word: "acked" },
  "message.expired": { sign: "◔", word: "expired" },
  "message.dead": { sign: "✕", word: "dead" },
  "message.redriven": { sign: "↻", word: "redriven" },
} as const;

/** In short, what became of a message: of one receiver how and when, of several how many. */
export function Receipts({ message }: { message: LiveMessage }) {
  const { receipts, target, event_type } = message;
  const isWaiting = receipts.length === 0 && target !== undefined && event_type !== "message.blocked";
  const kinds = Object.entries(Object.groupBy(receipts, (receipt) => signs[receipt.event_type].word));
  return (
    <span className="receipts">
      {isWaiting && <span className="receipt">waiting</span>}
      {target === undefined
        ? kinds.map(([word, those]) => (
            <span key={word} className="receipt" data-state={word}>{`${those?.length} ${word}`}</span>
          ))
        : receipts.map((receipt) => <OneReceipt key={receipt.agent_id} receipt={receipt} message={message} />)}
    </span>
  );
}

/** What every receiver made of it. */
export function EachReceipt({ message }: { message: LiveMessage }) {
  return (
    <ul className="each-receipt">
      {message.receipts.map((receipt) => (
        <li key={receipt.agent_id}>
          <AgentName id={receipt.agent_id} /> <OneReceipt receipt={receipt} message={message} />
        </li>
      ))}
    </ul>
  );
}

function OneReceipt({ receipt, message }: { receipt: Receipt; message: LiveMessage }) {
  const { sign, word } = signs[receipt.event_type];
  return (
    <span className="receipt" data-state={word}>
      <span aria-hidden="true">{sign}</span> {receipt.reason ? `${word}: ${receipt.reason}` : word}{" "}
      <span className="dim">{duration(message.timestamp, receipt.timestamp)}</span>
    </span>
  );
}
