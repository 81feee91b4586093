import type { Connection } from "@ksi/client";

/** Said aloud by screen readers when it changes. */
export function ConnectionState({ connection, host }: { connection: Connection; host: string }) {
  return (
    <p className="connection" role="status" data-state={connection.error ? "lost" : connection.state}>
      {describe(connection)} <span className="dim">{host}</span>
    </p>
  );
}

function describe({ state, error }: Connection): string {
  if (state === "open") return "Live";
  return error ? "Cut off, trying again" : "Connecting";
}
