import { type Connection, type KsiClient, KsiError } from "@ksi/client";
import { useEffect, useReducer, useState } from "react";
import type { Access } from "./access.ts";
import { emptyFlow, type Flow, most, nextFlow } from "./flow.ts";
import { useEvents } from "./use-events.ts";
import { useKsi } from "./use-ksi.ts";

export interface LiveMessages extends Flow {
  readonly ksi: KsiClient;
  readonly connection: Connection;
  /** What ended the flow for good, or why it has not begun. */
  readonly error: KsiError | undefined;
}

/** The last 500 messages with their receipts, and who is there, kept up to date over cuts. */
export function useLiveMessages(access: Access): LiveMessages {
  const { ksi, connection } = useKsi(access);
  const [flow, tell] = useReducer(nextFlow, emptyFlow);
  const [listError, setListError] = useState<KsiError>();
  const error = useEvents(ksi, {
    onStart: () => tell({ kind: "started" }),
    onEvents: (events) => tell({ kind: "events", events }),
    onGap: () => tell({ kind: "gap" }),
  });

  // Agents of whom no event that is kept tells; asked for anew with each connection, and after a gap. Also while there is
  // no connection: a call can tell why a page is refused, which a WebSocket cannot.
  const { gaps } = flow;
  const { state } = connection;
  useEffect(() => {
    if (state === "idle") return;
    const leaving = new AbortController();
    const { signal } = leaving;
    ksi.agents.list({ limit: most }, { signal }).then(
      ({ agents }) => {
        setListError(undefined);
        tell({ kind: "agents", agents, gaps });
      },
      (thrown) => signal.aborted || setListError(KsiError.from(thrown)),
    );
    return () => leaving.abort();
  }, [ksi, state, gaps]);

  return { ...flow, ksi, connection, error: error ?? listError ?? connection.error };
}
