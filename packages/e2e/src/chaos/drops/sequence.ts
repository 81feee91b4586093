/**
 * What one follower of one channel has been given, checked event by event.
 *
 * Each event that the producer appends carries its number in the channel: 1, 2, 3 and so on. A cursor is `epoch.number`,
 * so between any two events the cursors must move as far as the numbers do, and a hole must be exactly as wide as a gap
 * that was told before it.
 */
export interface Sequence {
  readonly name: string;
  /** The number of the last event; 0 before the first. */
  readonly last: number;
  readonly counts: Readonly<SequenceCounts>;
  /** What was wrong, in words; 20 at most. */
  readonly failures: readonly string[];
  /** `number` is the producer's; undefined for an event that is not the producer's, of which only the cursor counts. */
  take(cursor: string, number: number | undefined): void;
  /** The follower was told that it has to go on after `oldest`. `appended` is what may be in the channel by now. */
  gap(oldest: string | undefined, appended: number): void;
  /** Something else was wrong. */
  fail(what: string): void;
}

export interface SequenceCounts {
  received: number;
  lost: number;
  repeated: number;
  disordered: number;
  /** Not delivered, and told so. */
  trimmed: number;
  gaps: number;
}

export interface ChannelFacts {
  /** How many events are kept at least; undefined for a channel that nothing may be trimmed from. */
  readonly cap?: number | undefined;
  /** A cursor's number less the event's own, as the first follower found it. Shared by the channel's followers. */
  offset?: number;
}

export function createSequence(name: string, channel: ChannelFacts): Sequence {
  const counts: SequenceCounts = { received: 0, lost: 0, repeated: 0, disordered: 0, trimmed: 0, gaps: 0 };
  const failures: string[] = [];
  /** Cursor numbers that were passed over without a word. */
  const missing = new Set<number>();
  let epoch: string | undefined;
  let at: number | undefined;
  let last = 0;

  function fail(what: string): void {
    if (failures.length < 20) failures.push(`${name}: ${what}`);
  }

  /** Undefined when the numbering is another one. */
  function place(cursor: string): number | undefined {
    const [first = "", second = ""] = cursor.split(".");
    epoch ??= first;
    if (first === epoch) return Number(second);
    fail(`the epoch became ${first}, which was ${epoch}`);
    return undefined;
  }

  return {
    name,
    get last() {
      return last;
    },
    counts,
    failures,
    fail,
    take(cursor, number) {
      const here = place(cursor);
      if (here === undefined) return;
      counts.received += 1;
      if (number !== undefined) {
        channel.offset ??= here - number;
        if (here - number !== channel.offset) fail(`event ${number} has cursor ${cursor}, which is another event's`);
      }
      if (at !== undefined && here <= at) {
        const isLate = missing.delete(here);
        counts[isLate ? "disordered" : "repeated"] += 1;
        if (isLate) counts.lost -= 1;
        fail(`${cursor} (event ${number}) came ${isLate ? "after a later one" : "again"}; the last was ${at}`);
        return;
      }
      if (at !== undefined && here > at + 1) {
        fail(`${cursor} (event ${number}) came directly after ${at}, and ${here - at - 1} are lost`);
        counts.lost += here - at - 1;
        for (let hole = at + 1; hole < here; hole++) missing.add(hole);
      }
      at = here;
      last = number ?? last;
    },
    gap(oldest, appended) {
      counts.gaps += 1;
      const here = oldest === undefined ? undefined : place(oldest);
      if (here === undefined || at === undefined) return fail(`a gap to ${oldest}, from ${at}`);
      if (channel.cap === undefined) return fail(`a gap from ${at} to ${oldest} in a channel that is not trimmed`);
      if (here <= at) return fail(`a gap from ${at} to ${oldest}, in which nothing is`);
      const kept = appended - (here - (channel.offset ?? here));
      if (kept < channel.cap) fail(`a gap to ${oldest}, after which only ${kept} events can be: fewer than are kept`);
      counts.trimmed += here - at;
      at = here;
    },
  };
}
