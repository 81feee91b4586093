import { useEffect, useEffectEvent, useState } from "react";
import type { Access } from "./access.ts";
import { AgentList } from "./agent-list.tsx";
import { ConnectionState } from "./connection-state.tsx";
import { type Filter, matches } from "./filter.ts";
import { FilterBar } from "./filter-bar.tsx";
import { MessageList } from "./message-list.tsx";
import { SendForm } from "./send-form.tsx";
import { useLiveMessages } from "./use-live-messages.ts";

interface Props {
  access: Access;
  /** With the reason, if it was the daemon that refused the token. */
  onLeave(reason?: string): void;
}

export function LivePage({ access, onLeave }: Props) {
  const { ksi, connection, error, agents: known, messages, gaps } = useLiveMessages(access);
  const [filter, setFilter] = useState<Filter>({ agent: "", type: "" });

  const refusal = error?.code === "UNAUTHORIZED" ? error.message : undefined;
  const leave = useEffectEvent(onLeave);
  useEffect(() => {
    if (refusal) leave(refusal);
  }, [refusal]);

  const agents = [...known.values()].filter((agent) => agent !== undefined);
  const shown = messages.filter((message) => matches(filter, message));
  return (
    <div className="page">
      <header>
        <h1>Live messages</h1>
        <ConnectionState connection={connection} host={new URL(access.url).host} />
        <button type="button" className="leave" onClick={() => onLeave()}>
          Leave
        </button>
      </header>
      <AgentList agents={agents} chosen={filter.agent} onChoose={(agent) => setFilter({ ...filter, agent })} />
      <main>
        <FilterBar messages={messages} agents={agents} filter={filter} onFilter={setFilter} shown={shown.length} />
        {error && <p role="alert">{error.message}</p>}
        {gaps > 0 && <p role="alert">Something is missing here that the daemon does not keep any more.</p>}
        <MessageList messages={shown} />
        <SendForm ksi={ksi} agents={agents} />
      </main>
    </div>
  );
}
