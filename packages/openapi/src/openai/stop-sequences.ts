/** Cuts a text before the first of the caller's stop sequences, also while the text is still coming. */

export interface StopCutter {
  /** True once a sequence was found: nothing more is let through. */
  readonly isCut: boolean;
  /** What can be shown now. The start of what may still become a sequence is held back. */
  push(piece: string): string;
  /** What was held back; to be called when no more text comes. */
  flush(): string;
}

/** However the text is cut into pieces, what is let through is the same. Holds less than one sequence. */
export function createStopCutter(stops: readonly string[]): StopCutter {
  let held = "";
  let isCut = false;

  function cutAt(end: number): string {
    const shown = held.slice(0, end);
    held = "";
    isCut = true;
    return shown;
  }

  return {
    get isCut() {
      return isCut;
    },
    push(piece) {
      if (isCut) return "";
      if (stops.length === 0) return piece;
      held += piece;
      const found = firstOf(held, stops);
      const maybe = firstStart(held, stops);
      // A sequence that may have begun earlier comes before one that is complete.
      if (found !== -1 && found <= maybe) return cutAt(found);
      const shown = held.slice(0, maybe);
      held = held.slice(maybe);
      return shown;
    },
    flush() {
      const found = firstOf(held, stops);
      if (found !== -1) return cutAt(found);
      const shown = held;
      held = "";
      return shown;
    },
  };
}

/** -1 where there is none. */
function firstOf(text: string, stops: readonly string[]): number {
  const found = stops.map((stop) => text.indexOf(stop)).filter((index) => index !== -1);
  return found.length === 0 ? -1 : Math.min(...found);
}

/** Where the text's end may be the start of a sequence, at the earliest; its length where it is not. */
function firstStart(text: string, stops: readonly string[]): number {
  const longest = Math.max(...stops.map((stop) => stop.length));
  let start = Math.max(0, text.length - longest + 1);
  while (start < text.length && !stops.some((stop) => stop.startsWith(text.slice(start)))) start += 1;
  return start;
}
