import { type EventFilter, type Gap, type KsiClient, KsiError, type KsiEvent } from "@ksi/client";
import { useEffect, useEffectEvent, useState } from "react";

interface Options {
  filter?: EventFilter;
  /** Where to start. Default: with the oldest event that the daemon keeps. */
  from?: "oldest" | "now";
  /** The events begin: forget those of an earlier time. */
  onStart?(): void;
  onEvents(events: readonly KsiEvent[]): void;
  /** What happened before the events that follow is not kept any more. */
  onGap?(gap: Gap): void;
}

/** Events come faster than a page can be drawn, above all those of the past. */
const collectMs = 50;

/**
 * Follows the firehose while the component is there: each event once and in order, over cuts and restarts of the daemon.
 * Returns what ended it for good, such as a wrong token.
 */
export function useEvents(ksi: KsiClient, options: Options): KsiError | undefined {
  const { filter, from = "oldest" } = options;
  const [error, setError] = useState<KsiError>();
  const onStart = useEffectEvent(() => options.onStart?.());
  const onEvents = useEffectEvent((events: readonly KsiEvent[]) => options.onEvents(events));
  const onGap = useEffectEvent((gap: Gap) => options.onGap?.(gap));

  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let collected: KsiEvent[] = [];
    function handOver() {
      if (collected.length > 0 && !signal.aborted) onEvents(collected);
      collected = [];
    }
    function handGap(gap: Gap) {
      handOver();
      onGap(gap);
    }
    async function follow() {
      onStart();
      for await (const event of ksi.events.subscribe(filter, { from, signal, onGap: handGap })) {
        if (collected.push(event) === 1) setTimeout(handOver, collectMs);
      }
    }
    follow().catch((thrown) => setError(KsiError.from(thrown)));
    return () => leaving.abort();
  }, [ksi, filter, from]);

  return error;
}
