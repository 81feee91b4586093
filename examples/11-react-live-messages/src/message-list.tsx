import type { LiveMessage } from "./flow.ts";
import { MessageRow } from "./message-row.tsx";
import { useStickToEnd } from "./use-stick-to-end.ts";

/** Oldest first. Whoever reads the end stays at the end as messages come; whoever reads one further up is left in peace. */
export function MessageList({ messages }: { messages: readonly LiveMessage[] }) {
  const { ref, onScroll, onOpen, isAtEnd, goToEnd } = useStickToEnd<HTMLElement>(messages);
  return (
    <div className="flow">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be in reach of a keyboard */}
      <section aria-label="Messages" ref={ref} onScroll={onScroll} tabIndex={0}>
        {messages.length === 0 && <p className="empty">Nothing here yet. Messages appear as agents send them.</p>}
        <ol>
          {messages.map((message) => (
            <MessageRow key={message.id} message={message} onOpen={onOpen} />
          ))}
        </ol>
      </section>
      {!isAtEnd && (
        <button type="button" className="latest" onClick={goToEnd}>
          Latest <span aria-hidden="true">↓</span>
        </button>
      )}
    </div>
  );
}
