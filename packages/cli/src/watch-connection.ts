/**
 * What a user is told while the connection to the daemon is away. States: `fine` → `away` (a try failed; the client
 * goes on trying by itself) → `fine`; `away` → given up, once it has lasted too long.
 */
import type { Connection } from "@ksi/client";
import { KsiError } from "@ksi/contract/errors";

export interface ConnectionWatch extends Disposable {
  /** What the client is to tell. */
  readonly onConnection: (connection: Connection) => void;
  /** Resolves when the connection is open for the first time. */
  readonly opened: Promise<void>;
  /** Aborted with a `CONNECTION_LOST` when the daemon stayed away for too long. */
  readonly gaveUp: AbortSignal;
}

export interface ConnectionWatchOptions {
  onAway: () => void;
  onBack: () => void;
  /** Default: never gives up. */
  giveUpAfterMs?: number;
}

export function watchConnection({ onAway, onBack, giveUpAfterMs }: ConnectionWatchOptions): ConnectionWatch {
  const giveUp = new AbortController();
  const opened = Promise.withResolvers<void>();
  let isAway = false;
  let timer: NodeJS.Timeout | undefined;

  const stayAway = () => {
    isAway = true;
    onAway();
    if (giveUpAfterMs === undefined) return;
    const message = `The KSI daemon has been away for ${Math.round(giveUpAfterMs / 1_000)} s.`;
    timer = setTimeout(() => giveUp.abort(new KsiError("CONNECTION_LOST", message)), giveUpAfterMs);
  };
  return {
    onConnection({ state, error }) {
      if (error && !isAway) stayAway();
      if (state !== "open") return;
      opened.resolve();
      clearTimeout(timer);
      if (isAway) onBack();
      isAway = false;
    },
    opened: opened.promise,
    gaveUp: giveUp.signal,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
