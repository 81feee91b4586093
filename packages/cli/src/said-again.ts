/**
 * Text that an agent took back and says anew: what already stands where it cannot be taken back is not written again.
 *
 * It is *plain* until something is retracted. Then it *expects* the retracted text, and gives nothing for as long as the
 * same is said; it is plain again with the first character more, or with the first that is another.
 */
export interface SaidAgain {
  /** What of it is to be written; `isOther` when that replaces what was written, from the last retraction on. */
  say(text: string): { text: string; isOther: boolean };
  /** The last `chars` characters are void. */
  retract(chars: number): void;
}

export function createSaidAgain(): SaidAgain {
  let said = "";
  /** What of the void text has not been said again yet. */
  let expected = "";
  /** What of it has: written anew when the rest is another. */
  let repeated = "";

  return {
    say(text) {
      said += text;
      if (expected === "") return { text, isOther: false };
      if (expected.startsWith(text)) {
        expected = expected.slice(text.length);
        repeated = expected === "" ? "" : repeated + text;
        return { text: "", isOther: false };
      }
      const isOther = !text.startsWith(expected);
      const news = isOther ? repeated + text : text.slice(expected.length);
      [expected, repeated] = ["", ""];
      return { text: news, isOther };
    },
    retract(chars) {
      const at = Math.max(0, said.length - chars);
      const voided = said.slice(at);
      said = said.slice(0, at);
      // What was said again and is void once more is expected once more.
      expected = voided + expected;
      repeated = repeated.slice(0, Math.max(0, repeated.length - chars));
    },
  };
}
