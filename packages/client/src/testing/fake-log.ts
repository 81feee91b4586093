/** An event log in memory, with the daemon's rules: numbers without holes, resume, and an honest gap. */
import { type Entry, type Follow, type FollowInput, KsiError } from "@ksi/contract";
import { createFakeFollow } from "@ksi/testing";

export interface FakeLog<E> {
  append(...events: E[]): void;
  /** Forgets all but the last `keep` events. */
  trim(keep: number): void;
  /** Forgets all, and numbers anew in another epoch, as a daemon does whose data are gone. */
  startOver(): void;
  /** The next `times` follows fail at once. */
  failWith(error: KsiError, times: number): void;
  /** Ends what is being followed in peace, as a daemon that drains may. */
  endFollows(): void;
  follow(start: FollowInput, options: FollowOptions<E>): Follow<E>;
  /** Follows that were opened so far, and entries that were handed out. */
  readonly opened: number;
  readonly served: number;
  /** Follows that are open now. */
  readonly open: number;
}

interface FollowOptions<E> {
  signal: AbortSignal | undefined;
  from: "oldest" | "now";
  isLast?: (event: E) => boolean;
}

const firstEpoch = 1_700_000_000_000;

export function createFakeLog<E>(): FakeLog<E> {
  const events: E[] = [];
  let epoch = firstEpoch;
  const wakers = new Set<() => void>();
  const failures: KsiError[] = [];
  let oldest = 1;
  let drains = 0;
  let opened = 0;
  let served = 0;
  let open = 0;
  const wakeAll = () => {
    const woken = [...wakers];
    // Here, and not by each that wakes: the second to wake would forget the first, which waits again by then.
    wakers.clear();
    for (const wake of woken) wake();
  };

  async function* read(
    start: FollowInput,
    { signal, from, isLast }: FollowOptions<E>,
  ): AsyncGenerator<Pick<Entry<E>, "cursor" | "event">> {
    opened++;
    open++;
    const drainsAtStart = drains;
    signal?.addEventListener("abort", wakeAll);
    try {
      const failure = failures.shift();
      if (failure) throw failure;
      let number = firstNumber(start.lastEventId, start.from ?? from);
      while (!signal?.aborted && drains === drainsAtStart) {
        if (number < oldest) throw gap("trimmed");
        const event = events[number - 1];
        if (event === undefined) {
          await new Promise<void>((resolve) => wakers.add(resolve));
          continue;
        }
        served++;
        yield { cursor: cursorOf(number++), event };
        if (isLast?.(event)) return;
      }
    } finally {
      open--;
      signal?.removeEventListener("abort", wakeAll);
    }
  }

  function firstNumber(lastEventId: string | null | undefined, from: "oldest" | "now"): number {
    if (lastEventId) {
      const [of, number] = lastEventId.split(".");
      if (of !== String(epoch)) throw gap("epoch_changed");
      return Number(number) + 1;
    }
    return from === "oldest" ? oldest : events.length + 1;
  }

  function gap(reason: "trimmed" | "epoch_changed") {
    return new KsiError("HISTORY_TRIMMED", "Events after this cursor are no longer kept.", {
      details: { oldest: cursorOf(oldest - 1), reason },
    });
  }

  function cursorOf(number: number): string {
    return `${epoch}.${number}`;
  }

  return {
    append(...more) {
      events.push(...more);
      wakeAll();
    },
    trim(keep) {
      oldest = events.length - keep + 1;
    },
    startOver() {
      events.length = 0;
      oldest = 1;
      epoch += 1;
    },
    failWith(error, times) {
      for (let time = 0; time < times; time++) failures.push(error);
    },
    endFollows() {
      drains++;
      wakeAll();
    },
    follow: (start, options) => createFakeFollow("fake", () => read(start, options)),
    get opened() {
      return opened;
    },
    get served() {
      return served;
    },
    get open() {
      return open;
    },
  };
}
