import { type Connection, createKsiClient, type KsiClient } from "@ksi/client";
import { useState } from "react";
import type { Access } from "./access.ts";

/** A client for as long as the component is there, and where its WebSocket stands. */
export function useKsi(access: Access): { ksi: KsiClient; connection: Connection } {
  const [connection, setConnection] = useState<Connection>({ state: "idle" });
  // A client opens nothing until something is followed, and closes its socket when nothing is any more. So there is
  // nothing to clean up, and none of the double effects of StrictMode to mind.
  const [ksi] = useState(() => createKsiClient({ ...access, onConnection: setConnection }));
  return { ksi, connection };
}
